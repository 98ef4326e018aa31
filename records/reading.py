"""Records in stored order, as whoever needs no TensorFlow reads them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from records.example import PictureRecord, decode_example
from records.tfrecord import read_records


def read_pictures(shards: Sequence[Path]) -> Iterator[PictureRecord]:
    """Read the records of shards in stored order."""
    for shard in shards:
        yield from map(decode_example, read_records(shard))


def read_references(shards: Sequence[Path]) -> dict[str, tuple[str, ...]]:
    """Return the raw captions of each picture in the shards, by key."""
    return {record.filename: record.raw_captions for record in read_pictures(shards)}
