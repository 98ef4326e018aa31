"""Picture records against TensorFlow's own Example messages, in both directions."""

import dataclasses

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from records.example import PictureRecord, decode_example, encode_example

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@st.composite
def picture_records(draw):
    captions = draw(st.lists(st.tuples(TEXT, TEXT), max_size=6))
    return PictureRecord(
        encoded=draw(st.binary(max_size=400)),
        height=draw(st.integers(-(2**63), 2**63 - 1)),
        width=draw(st.integers(0, 70_000)),
        filename=draw(TEXT),
        source_id=draw(TEXT),
        sha256="0" * 64,
        raw_captions=tuple(raw for raw, _ in captions),
        captions=tuple(cleaned for _, cleaned in captions),
    )


RECORD = PictureRecord(
    b"\xff\xd8", 224, 300, "a.jpg", "a.jpg", "f" * 64, ("A dog.", "Ein Hund"), ("a dog", "ein hund")
)


@given(picture_records())
def test_round_trip(record):
    assert decode_example(encode_example(record)) == record


@given(picture_records())
def test_tensorflow_reads_ours_and_writes_the_same_bytes(record):
    example = tf.train.Example.FromString(encode_example(record))
    feature = example.features.feature
    assert list(feature["image/height"].int64_list.value) == [record.height]
    assert list(feature["image/encoded"].bytes_list.value) == [record.encoded]
    assert list(feature["image/format"].bytes_list.value) == [b"jpeg"]
    assert [text.decode() for text in feature["caption/raw"].bytes_list.value] == list(
        record.raw_captions
    )
    assert sorted(feature) == [
        "caption/raw",
        "caption/text",
        "image/encoded",
        "image/filename",
        "image/format",
        "image/height",
        "image/key/sha256",
        "image/source_id",
        "image/width",
    ]
    assert example.SerializeToString(deterministic=True) == encode_example(record)


@given(picture_records())
def test_ours_reads_tensorflows_in_any_order(record):
    theirs = tf.train.Example.FromString(encode_example(record)).SerializeToString()
    assert decode_example(theirs) == record


def test_unpacked_numbers_are_read():
    example = tf.train.Example.FromString(encode_example(RECORD))
    del example.features.feature["image/height"]
    # map entry: key "image/height", Feature.int64_list with one unpacked varint, 300.
    feature = b"\x1a\x03\x08\xac\x02"
    entry = b"\x0a\x0cimage/height\x12" + bytes([len(feature)]) + feature
    features = b"\x0a" + bytes([len(entry) + 2]) + b"\x0a" + bytes([len(entry)]) + entry
    payload = example.SerializeToString() + features
    assert decode_example(payload) == dataclasses.replace(RECORD, height=300)


@given(st.binary(max_size=60))
def test_garbage_is_a_value_error(garbage):
    with pytest.raises(ValueError):
        decode_example(garbage)


@given(st.integers(0, len(encode_example(RECORD)) - 1))
def test_every_cut_is_a_value_error(cut):
    with pytest.raises(ValueError):
        decode_example(encode_example(RECORD)[:cut])


def test_absent_feature_is_named():
    example = tf.train.Example.FromString(encode_example(RECORD))
    del example.features.feature["caption/raw"]
    with pytest.raises(ValueError, match="caption/raw"):
        decode_example(example.SerializeToString())


def test_captions_come_in_pairs():
    with pytest.raises(ValueError, match="2 raw captions, 1 cleaned"):
        dataclasses.replace(RECORD, captions=("a dog",))
