"""The offset index: what it says, what it refuses, and finding records by it."""

import dataclasses
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from records import index
from records.errors import UserError
from records.example import PictureRecord, encode_example
from records.index import decode_index, encode_index, find_record, load_index, read_record
from records.shards import ShardName, shard_of
from records.tfrecord import CorruptRecord, frame_record, write_records

KEYS = [f"{number}.jpg" for number in range(60)] + ["é.jpg", "\U0001f600.jpg", "\uffee.jpg"]
SHARDS = 3


def record_of(key):
    return PictureRecord(b"\xff\xd8", 1, 1, key, key, "0" * 64, (f"A {key}.",), (f"a {key}",))


def write_shard(path, payloads):
    with path.open("wb") as file:
        written = write_records(file, payloads)
    path.with_name(ShardName.parse(path.name).index_file).write_bytes(encode_index(written.offsets))


@dataclasses.dataclass
class Dataset:
    """A directory, and what of its manifest `find_record` uses."""

    directory: Path
    splits: tuple[str, ...] = ("train", "val")

    def shard_paths(self, directory, split):
        count = SHARDS if split == "train" else 1
        return [directory / str(ShardName("tiny", split, number, count)) for number in range(count)]


@pytest.fixture
def dataset(tmp_path):
    dataset = Dataset(tmp_path)
    for number, path in enumerate(dataset.shard_paths(tmp_path, "train")):
        keys = sorted(key for key in KEYS if shard_of(key, SHARDS) == number)
        write_shard(path, (encode_example(record_of(key)) for key in keys))
    write_shard(dataset.shard_paths(tmp_path, "val")[0], [encode_example(record_of("v.jpg"))])
    return dataset


def find(dataset, key):
    return find_record(dataset.directory, dataset, key)


def test_the_file_is_what_numpy_reads(tmp_path):
    (tmp_path / "index").write_bytes(encode_index([0, 1000, 2**40]))
    assert np.fromfile(tmp_path / "index", "<u8").tolist() == [0, 1000, 2**40]


@given(st.lists(st.integers(16, 1 << 40), max_size=9))
def test_what_is_encoded_is_decoded(sizes):
    offsets = np.cumsum([0, *sizes]).tolist()
    assert decode_index(encode_index(offsets), offsets[-1]).tolist() == offsets


def test_the_other_byte_order_is_swapped_both_ways(monkeypatch):
    other = "big" if sys.byteorder == "little" else "little"
    monkeypatch.setattr(index, "sys", SimpleNamespace(byteorder=other))
    swapped = struct.pack(f"{'>' if other == 'big' else '<'}2Q", 0, 258)
    assert encode_index([0, 258]) == swapped
    assert decode_index(swapped, 258).tolist() == [0, 258]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "has 0 bytes"),
        (encode_index([0, 100])[:-1], "has 15 bytes"),
        (encode_index([1, 100]), "from byte 1"),
        (encode_index([0, 99]), "to 99"),
        (encode_index([0]), "to 0"),
        (encode_index([0, 50, 50, 100]), "record of 0 bytes"),
        (encode_index([0, 90, 40, 100]), "record of -50 bytes"),
        (encode_index([0, 2**63, 100]), "record of -"),
    ],
)
def test_what_is_no_index_of_the_shard_is_refused_in_words(content, problem):
    with pytest.raises(ValueError, match=problem):
        decode_index(content, 100)


@given(st.binary(max_size=64), st.integers(0, 200))
def test_any_bytes_are_an_index_or_refused(content, size):
    try:
        offsets = decode_index(content, size)
    except ValueError:
        return
    assert encode_index(offsets) == content


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=6), st.data())
def test_every_record_is_read_by_its_number(tmp_path_factory, payloads, data):
    shard = tmp_path_factory.mktemp("shard") / "tiny-train.tfrecord-00000-of-00001"
    write_shard(shard, payloads)
    offsets = load_index(shard)
    number = data.draw(st.integers(0, len(payloads) - 1))
    assert read_record(shard, number, *offsets[number : number + 2]) == payloads[number]


@given(st.integers(0, 115), st.integers(0, 7))
def test_every_flipped_bit_is_noticed_with_its_place(tmp_path_factory, at, bit):
    frame = bytearray(frame_record(bytes(100)))
    frame[at] ^= 1 << bit
    shard = tmp_path_factory.mktemp("shard") / "shard"
    shard.write_bytes(frame_record(b"") + frame)
    with pytest.raises(CorruptRecord, match=r"shard: record 1 at byte 16"):
        read_record(shard, 1, 16, 132)


def test_offsets_that_cross_records_are_noticed(tmp_path):
    (tmp_path / "shard").write_bytes(frame_record(b"one") + frame_record(b"two"))
    for start, end in ((0, 38), (1, 20), (19, 37), (60, 80)):
        with pytest.raises(CorruptRecord):
            read_record(tmp_path / "shard", 0, start, end)


@pytest.mark.parametrize("key", [*KEYS, "v.jpg"])
def test_every_key_is_found_where_it_is(dataset, key):
    found = find(dataset, key)
    assert found.record == record_of(key)
    offsets = load_index(found.shard)
    again = read_record(found.shard, found.index, *offsets[found.index : found.index + 2])
    assert again == encode_example(found.record)


@pytest.mark.parametrize("key", ["", "!", "00.jpg", "35.jpeg", "z.jpg", "\U0010ffff"])
def test_other_keys_are_not_found(dataset, key):
    assert find(dataset, key) is None


def test_a_search_reads_a_logarithm_of_the_records(tmp_path, monkeypatch):
    dataset = Dataset(tmp_path, splits=("val",))
    keys = sorted(f"{number}.jpg" for number in range(1000))
    write_shard(
        dataset.shard_paths(tmp_path, "val")[0], (encode_example(record_of(key)) for key in keys)
    )
    reads = []
    read = index.read_record
    monkeypatch.setattr(index, "read_record", lambda *place: reads.append(place) or read(*place))
    assert find(dataset, keys[700]).index == 700
    assert len(reads) <= 11


def test_an_empty_shard_has_no_record(tmp_path):
    dataset = Dataset(tmp_path, splits=("val",))
    write_shard(dataset.shard_paths(tmp_path, "val")[0], [])
    assert find(dataset, "0.jpg") is None


def test_a_damaged_record_on_the_way_is_named(dataset):
    shard = find(dataset, "v.jpg").shard
    content = bytearray(shard.read_bytes())
    content[20] ^= 1
    shard.write_bytes(content)
    with pytest.raises(CorruptRecord, match=r"record 0 at byte 0"):
        find(dataset, "v.jpg")


def test_a_record_that_is_no_picture_is_named(tmp_path):
    dataset = Dataset(tmp_path, splits=("val",))
    write_shard(dataset.shard_paths(tmp_path, "val")[0], [b"no example"])
    with pytest.raises(CorruptRecord, match=r"record 0 at byte 0: is no picture record"):
        find(dataset, "0.jpg")


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"12345678")])
@pytest.mark.parametrize("kind", ["tfrecord", "index"])
def test_a_missing_or_foreign_file_is_a_user_error(dataset, damage, kind):
    damage(dataset.directory / f"tiny-val.{kind}-00000-of-00001")
    with pytest.raises(UserError, match=r"tiny-val\.(tfrecord|index)-00000-of-00001.*tfcap verify"):
        find(dataset, "v.jpg")
