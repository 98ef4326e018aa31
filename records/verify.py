"""Verification: does a dataset directory still hold what its manifest says?"""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

from records.errors import UserError
from records.example import decode_example
from records.manifest import VOCABULARY, Manifest, ShardInfo, load_manifest
from records.shards import ShardName, shard_of
from records.tfrecord import CorruptRecord, scan_frames
from records.vocabulary import Vocabulary

_CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True)
class Damage:
    """Something that is not as the manifest says.

    Attributes:
        file: name of the file.
        problem: what is wrong, in words.
        index: of the record in its shard, from 0; None where the file as a whole is meant.
        offset: of the record's first byte; None likewise.
    """

    file: str
    problem: str
    index: int | None = None
    offset: int | None = None

    def __str__(self):
        if self.index is None:
            return f"{self.file}: {self.problem}"
        return f"{self.file}: record {self.index} at byte {self.offset}: {self.problem}"


@dataclasses.dataclass(frozen=True)
class FileCheck:
    """The result for one file."""

    file: str
    damages: tuple[Damage, ...]


def verify_dataset(directory: Path) -> list[Damage]:
    """Return every damage of a dataset; an empty list where it is whole.

    Raises:
        UserError: no directory, or no valid manifest.
    """
    return [damage for check in check_files(directory) for damage in check.damages]


def check_files(directory: Path) -> Iterator[FileCheck]:
    """Check a dataset file by file: all shards, the vocabulary, and files that do not belong.

    Raises:
        UserError: no directory, or no valid manifest.
    """
    manifest = load_manifest(directory)
    for split in manifest.splits:
        for shard in manifest.split(split).shards:
            yield FileCheck(shard.file, tuple(_shard_damages(directory, shard)))
    yield FileCheck(VOCABULARY, tuple(_vocabulary_damages(directory, manifest)))
    for file in _stray_shards(directory, manifest):
        yield FileCheck(file, (Damage(file, "is not in the manifest"),))


def _shard_damages(directory: Path, shard: ShardInfo) -> Iterator[Damage]:
    path = directory / shard.file
    if not path.is_file():
        yield Damage(shard.file, "is missing")
        return
    size = path.stat().st_size
    if size != shard.bytes:
        yield Damage(shard.file, f"has {size} bytes, the manifest says {shard.bytes}")
    if (digest := _sha256(path)) != shard.sha256:
        yield Damage(shard.file, f"has SHA-256 {digest}, the manifest says {shard.sha256}")
    yield from _record_damages(path, shard)


def _record_damages(path: Path, shard: ShardInfo) -> Iterator[Damage]:
    name = ShardName.parse(shard.file)
    corrupt: list[CorruptRecord] = []
    records = captions = 0
    for frame in scan_frames(path, corrupt.append):
        try:
            record = decode_example(frame.payload)
        except ValueError as error:
            yield Damage(shard.file, f"is no picture record: {error}", frame.index, frame.offset)
            continue
        records, captions = records + 1, captions + len(record.captions)
        if shard_of(record.filename, name.count) != name.index:
            problem = f"{record.filename} belongs to another shard"
            yield Damage(shard.file, problem, frame.index, frame.offset)
    for error in corrupt:
        yield Damage(shard.file, error.reason, error.index, error.offset)
    for what, found, said in (
        ("records", records, shard.records),
        ("captions", captions, shard.captions),
    ):
        if found != said:
            yield Damage(shard.file, f"has {found} whole {what}, the manifest says {said}")


def _vocabulary_damages(directory: Path, manifest: Manifest) -> Iterator[Damage]:
    path = directory / VOCABULARY
    try:
        words = len(Vocabulary.read(path))
    except UserError as error:
        yield Damage(VOCABULARY, str(error))
        return
    if words != manifest.vocabulary_size:
        said = manifest.vocabulary_size
        yield Damage(VOCABULARY, f"has {words} words, the manifest says {said}")
    if (digest := _sha256(path)) != manifest.vocabulary_sha256:
        said = manifest.vocabulary_sha256
        yield Damage(VOCABULARY, f"has SHA-256 {digest}, the manifest says {said}")


def _stray_shards(directory: Path, manifest: Manifest) -> list[str]:
    known = {shard.file for info in manifest.split_infos.values() for shard in info.shards}
    found = (path.name for path in directory.iterdir())
    return sorted(file for file in found if file not in known and _is_shard(file, manifest.name))


def _is_shard(file: str, dataset: str) -> bool:
    try:
        return ShardName.parse(file).dataset == dataset
    except ValueError:
        return False


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
