"""Verification: does a dataset directory still hold what its manifest says?"""

import dataclasses
import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from records.dead_letters import parse_dead_letters
from records.errors import UserError
from records.example import decode_example
from records.index import decode_index
from records.manifest import DEAD_LETTERS, VOCABULARY, Manifest, ShardInfo, load_manifest
from records.shards import ShardName, shard_of
from records.tfds import tfds_files
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
    """The result for one file; for a shard, its index is looked at too."""

    file: str
    damages: tuple[Damage, ...]


def verify_dataset(directory: Path) -> list[Damage]:
    """Return every damage of a dataset; an empty list where it is whole.

    Raises:
        UserError: no directory, or no valid manifest.
    """
    return [damage for check in check_files(directory) for damage in check.damages]


def check_files(directory: Path) -> Iterator[FileCheck]:
    """Check a dataset file by file: shards, indexes, what lies beside them and does not belong.

    Raises:
        UserError: no directory, or no valid manifest.
    """
    manifest = load_manifest(directory)
    for split in manifest.splits:
        for shard in manifest.split(split).shards:
            yield FileCheck(shard.file, tuple(_shard_damages(directory, shard)))
    yield FileCheck(VOCABULARY, tuple(_vocabulary_damages(directory, manifest)))
    yield FileCheck(DEAD_LETTERS, tuple(_dead_letter_damages(directory, manifest)))
    for file, text in tfds_files(manifest).items():
        yield FileCheck(file, tuple(_text_damages(directory / file, text)))
    for file in stray_files(directory, manifest):
        yield FileCheck(file, (Damage(file, "is not in the manifest"),))


def count_checks(manifest: Manifest) -> int:
    """Return how many files `check_files` looks at in a dataset without stray ones."""
    shards = sum(len(info.shards) for info in manifest.split_infos.values())
    return shards + 2 + len(tfds_files(manifest))


def stray_files(directory: Path, manifest: Manifest) -> list[str]:
    """Return the shards and indexes of another build that lie in the directory."""
    shards = [shard for info in manifest.split_infos.values() for shard in info.shards]
    known = {file for shard in shards for file in (shard.file, shard.index_file)}
    found = (path.name for path in directory.iterdir())
    return sorted(file for file in found if file not in known and _is_of(file, manifest.name))


def _shard_damages(directory: Path, shard: ShardInfo) -> Iterator[Damage]:
    offsets, damages = _read_index(directory / shard.index_file, shard)
    yield from damages
    path = directory / shard.file
    if not path.is_file():
        yield Damage(shard.file, "is missing")
        return
    size = path.stat().st_size
    if size != shard.bytes:
        yield Damage(shard.file, f"has {size} bytes, the manifest says {shard.bytes}")
    if (digest := _sha256(path)) != shard.sha256:
        yield Damage(shard.file, f"has SHA-256 {digest}, the manifest says {shard.sha256}")
    yield from _record_damages(path, shard, offsets)


def _read_index(path: Path, shard: ShardInfo) -> tuple[array | None, list[Damage]]:
    """Return the offsets of an index, None where it is damaged, and its damages."""
    try:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != shard.index_sha256:
            said = shard.index_sha256
            return None, [Damage(path.name, f"has SHA-256 {digest}, the manifest says {said}")]
        return decode_index(content, shard.bytes), []
    except FileNotFoundError:
        return None, [Damage(path.name, "is missing")]
    except ValueError as error:
        return None, [Damage(path.name, str(error))]


def _record_damages(path: Path, shard: ShardInfo, offsets: array | None) -> Iterator[Damage]:
    name = ShardName.parse(shard.file)
    corrupt: list[CorruptRecord] = []
    records = captions = end = 0
    key = ""
    for frame in scan_frames(path, corrupt.append):
        end = frame.end
        if offsets and (frame.index >= shard.records or offsets[frame.index] != frame.offset):
            yield Damage(shard.index_file, "points elsewhere", frame.index, frame.offset)
        try:
            record = decode_example(frame.payload)
        except ValueError as error:
            yield Damage(shard.file, f"is no picture record: {error}", frame.index, frame.offset)
            continue
        records, captions = records + 1, captions + len(record.captions)
        if shard_of(record.filename, name.count) != name.index:
            problem = f"{record.filename} belongs to another shard"
            yield Damage(shard.file, problem, frame.index, frame.offset)
        if record.filename <= key:
            problem = f"{record.filename} does not come after {key}"
            yield Damage(shard.file, problem, frame.index, frame.offset)
        key = record.filename
    for error in corrupt:
        yield Damage(shard.file, error.reason, error.index, error.offset)
    if records < shard.records and not corrupt:
        yield Damage(shard.file, "is not there, the file ends before it", records, end)
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


def _dead_letter_damages(directory: Path, manifest: Manifest) -> Iterator[Damage]:
    try:
        text = (directory / DEAD_LETTERS).read_text("utf-8")
        letters = parse_dead_letters(text, DEAD_LETTERS)
    except (OSError, UnicodeDecodeError, UserError) as error:
        yield Damage(DEAD_LETTERS, f"cannot be read: {error}")
        return
    counts = dict(Counter(letter.reason.value for letter in letters))
    if counts != dict(manifest.dead_letters):
        yield Damage(DEAD_LETTERS, f"holds {counts}, the manifest says {manifest.dead_letters}")


def _text_damages(path: Path, text: str) -> Iterator[Damage]:
    try:
        if path.read_bytes() != text.encode():
            yield Damage(path.name, "is not what follows from the manifest")
    except OSError as error:
        yield Damage(path.name, f"cannot be read: {error.strerror}")


def _is_of(file: str, dataset: str) -> bool:
    try:
        return ShardName.of_file(file).dataset == dataset
    except ValueError:
        return False


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
