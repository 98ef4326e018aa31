"""TFRecord framing: equal to TensorFlow's, and exact about damage."""

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.tfrecord import CorruptRecord, frame_record, read_records, scan_frames, write_records

PAYLOADS = [b"", b"a", b"\x00" * 1000, bytes(range(256)) * 300]


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(b"".join(map(frame_record, PAYLOADS)))
    return path


def offset_of(index):
    return sum(len(payload) + 16 for payload in PAYLOADS[:index])


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_bytes_equal_tensorflows_writer(tmp_path, shard):
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for payload in PAYLOADS:
            writer.write(payload)
    assert shard.read_bytes() == (tmp_path / "theirs").read_bytes()


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_what_is_written_is_read(tmp_path_factory, payloads):
    path = tmp_path_factory.mktemp("frames") / "shard"
    with path.open("wb") as file:
        written = write_records(file, iter(payloads))
    assert list(read_records(path)) == payloads
    assert (written.records, written.bytes) == (len(payloads), path.stat().st_size)


def test_written_digest_is_of_the_file():
    buffer = io.BytesIO()
    written = write_records(buffer, PAYLOADS)
    assert written.sha256 == hashlib.sha256(buffer.getvalue()).hexdigest()


def test_broken_payload_costs_one_record(shard):
    flip(shard, offset_of(2) + 12 + 500)
    corrupt = []
    frames = list(scan_frames(shard, corrupt.append))
    assert [frame.index for frame in frames] == [0, 1, 3]
    assert [frame.payload for frame in frames] == [PAYLOADS[0], PAYLOADS[1], PAYLOADS[3]]
    assert [(error.index, error.offset) for error in corrupt] == [(2, offset_of(2))]


def test_broken_length_ends_the_scan(shard):
    flip(shard, offset_of(1) + 3)
    corrupt = []
    assert [frame.index for frame in scan_frames(shard, corrupt.append)] == [0]
    assert [(error.index, error.offset) for error in corrupt] == [(1, offset_of(1))]
    assert "length" in corrupt[0].reason


def test_reading_stops_at_damage_and_names_the_place(shard):
    flip(shard, offset_of(3) + 20)
    with pytest.raises(CorruptRecord, match=f"record 3 at byte {offset_of(3)}"):
        list(read_records(shard))


@given(st.data())
def test_every_cut_is_noticed_unless_between_records(tmp_path_factory, data):
    whole = b"".join(map(frame_record, PAYLOADS[:3]))
    boundaries = {offset_of(index) for index in range(4)}
    cut = data.draw(st.integers(0, len(whole)).filter(lambda cut: cut not in boundaries))
    path = tmp_path_factory.mktemp("cut") / "shard"
    path.write_bytes(whole[:cut])
    with pytest.raises(CorruptRecord, match="cut short"):
        list(read_records(path))
