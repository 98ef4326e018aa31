"""Datasets that tests write by hand: no Beam, and records of any kind."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from records.captions import CaptionSpec
from records.example import PictureRecord, encode_example
from records.index import encode_index
from records.manifest import Manifest, ShardInfo, SourceInfo, SplitInfo, Statistics
from records.pictures import PictureSpec
from records.shards import ShardName
from records.tfrecord import write_records


def write_shard(directory: Path, name: ShardName, records: Sequence[PictureRecord]) -> ShardInfo:
    """Write a shard and its index."""
    captions = sum(len(record.captions) for record in records)
    with (directory / str(name)).open("wb") as file:
        written = write_records(file, map(encode_example, records))
    index = encode_index(written.offsets)
    (directory / name.index_file).write_bytes(index)
    digest = hashlib.sha256(index).hexdigest()
    return ShardInfo(str(name), len(records), captions, written.bytes, written.sha256, digest)


def make_manifest(splits: Mapping[str, Sequence[ShardInfo]], **changes) -> Manifest:
    """Return a manifest of these shards; what else it says may be changed."""
    fields = {
        "name": "tiny",
        "picture": PictureSpec(),
        "caption": CaptionSpec(),
        "vocabulary_size": 4,
        "vocabulary_sha256": "0" * 64,
        "split_infos": {split: SplitInfo(tuple(shards)) for split, shards in splits.items()},
        "source": SourceInfo(0, 0, "0" * 64, 0),
        "rejected": 0,
        "dead_letters": {},
        "statistics": Statistics({}, 0.0, 0),
    }
    return Manifest(**(fields | changes))
