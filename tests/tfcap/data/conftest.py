"""Shards of tiny records, with their indexes."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from records.index import encode_index
from records.shards import ShardName
from records.tfrecord import write_records


@pytest.fixture(scope="session")
def write_shards() -> Callable[[Path, Iterable[Iterable[bytes]]], list[Path]]:
    """A function that writes lists of payloads as the shards of a split, with their indexes."""
    return _write_shards


def _write_shards(directory, shards):
    paths = []
    for number, payloads in enumerate(shards):
        name = ShardName("tiny", "train", number, len(shards))
        paths.append(directory / str(name))
        with paths[-1].open("wb") as file:
            written = write_records(file, payloads)
        (directory / name.index_file).write_bytes(encode_index(written.offsets))
    return paths
