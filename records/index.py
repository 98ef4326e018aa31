"""The offset index of a shard: any record by its number in one read, by its key in a few.

Beside `flickr8k-train.tfrecord-00000-of-00012` lies `flickr8k-train.index-00000-of-00012`:
little-endian uint64 numbers, the offset of each record's frame and then the size of the shard
(`numpy.fromfile(path, "<u8")`).
"""

import bisect
import functools
import operator
import os
import struct
import sys
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from records.errors import UserError
from records.example import PictureRecord, decode_example
from records.manifest import Manifest
from records.shards import ShardName, shard_of
from records.tfrecord import CorruptRecord, masked_crc32c

_WIDTH = 8  # bytes of a number
_HEADER, _FOOTER = struct.Struct("<QI"), struct.Struct("<I")  # of a frame, around its payload
_EMPTY = _HEADER.size + _FOOTER.size  # bytes of a frame without a payload


class Found(NamedTuple):
    """A record and its place: the shard file, and its number in it, from 0."""

    shard: Path
    index: int
    record: PictureRecord


def encode_index(offsets: Iterable[int]) -> bytes:
    """Return the bytes of an index file.

    Args:
        offsets: of each record's first byte, then the size of the shard.
    """
    return _swapped(array("Q", offsets)).tobytes()


def decode_index(content: bytes, size: int) -> array:
    """Read the bytes of an index file.

    Args:
        content: of the index file.
        size: bytes of its shard.

    Returns:
        N + 1 offsets of a shard of N records, 8 bytes each in memory.

    Raises:
        ValueError: what is no index of a shard of this size, in words.
    """
    if not content or len(content) % _WIDTH:
        raise ValueError(f"has {len(content)} bytes, not a multiple of {_WIDTH}")
    offsets = _swapped(array("Q", content))
    if offsets[0] != 0 or offsets[-1] != size:
        raise ValueError(
            f"goes from byte {offsets[0]} to {offsets[-1]}, its shard from 0 to {size}"
        )
    view = memoryview(offsets)
    shortest = min(map(operator.sub, view[1:], view), default=_EMPTY)
    if shortest < _EMPTY:
        raise ValueError(f"has a record of {shortest} bytes")
    return offsets


def load_index(shard: Path, cut: bool = False) -> array:
    """Read the index of a shard file; returns its offsets as `decode_index` does.

    Args:
        shard: the file.
        cut: accept a shard that is shorter than its index says; records at its end are damaged.

    Raises:
        UserError: the shard or its index is missing, or they do not fit each other.
    """
    path = shard.with_name(ShardName.parse(shard.name).index_file)
    try:
        content, size = path.read_bytes(), shard.stat().st_size
        if cut:
            size = max(size, int.from_bytes(content[-_WIDTH:], "little"))
        return decode_index(content, size)
    except OSError as error:
        raise UserError(
            f"cannot read {error.filename} ({error.strerror}): see `tfcap verify`"
        ) from None
    except ValueError as error:
        raise UserError(f"{path} {error}: see `tfcap verify`") from None


def read_record(shard: str | Path, index: int, start: int, end: int) -> bytes:
    """Read the payload of one record.

    Args:
        shard: the file.
        index: of the record in the shard, for messages.
        start: offset of its first byte.
        end: offset of the byte after its last one.

    Raises:
        CorruptRecord: what is there is not one whole frame.
        OSError: the file cannot be read.
    """
    file = os.open(shard, os.O_RDONLY)
    try:
        payload = unframe(read_range(file, start, end))
    finally:
        os.close(file)
    if payload is None:
        raise CorruptRecord(str(shard), index, start, "does not match its checksums")
    return payload


def read_range(file: int, start: int, end: int) -> bytes:
    """Read the bytes of an open file from one offset to another, fewer where it ends before."""
    parts = []
    while start < end and (part := os.pread(file, end - start, start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts)  # itself, where it is one part


def unframe(frame: bytes) -> bytes | None:
    """Return the payload of a frame; None for what is not one whole frame."""
    if len(frame) < _EMPTY:
        return None
    payload = frame[_HEADER.size : -_FOOTER.size]
    length, length_crc = _HEADER.unpack_from(frame)
    (payload_crc,) = _FOOTER.unpack_from(frame, len(frame) - _FOOTER.size)
    intact = (
        length == len(payload)
        and length_crc == masked_crc32c(frame[:_WIDTH])
        and payload_crc == masked_crc32c(payload)
    )
    return payload if intact else None


def find_record(directory: Path, manifest: Manifest, key: str) -> Found | None:
    """Find the record of a picture by its file name.

    The shard follows from the key; in it, records are sorted by key, and a binary search takes
    some log2(records of the shard) reads.

    Returns:
        The record and its place; None where no split has it.

    Raises:
        CorruptRecord: a record on the way is damaged.
        UserError: a shard or its index is missing, or they do not fit each other.
    """
    for split in manifest.splits:
        shards = manifest.shard_paths(directory, split)
        if found := _find_in(shards[shard_of(key, len(shards))], key):
            return found
    return None


def _find_in(shard: Path, key: str) -> Found | None:
    offsets = load_index(shard)
    records = len(offsets) - 1

    @functools.cache
    def read(index: int) -> PictureRecord:
        return _read_picture(shard, index, offsets)

    at = bisect.bisect_left(range(records), key, key=lambda index: read(index).filename)
    if at < records and read(at).filename == key:
        return Found(shard, at, read(at))
    return None


def _read_picture(shard: Path, index: int, offsets: array) -> PictureRecord:
    start, end = offsets[index : index + 2]
    try:
        return decode_example(read_record(shard, index, start, end))
    except ValueError as error:
        reason = f"is no picture record: {error}"
        raise CorruptRecord(str(shard), index, start, reason) from None


def _swapped(numbers: array) -> array:
    """Turn numbers from this machine's byte order into little-endian, or back."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
