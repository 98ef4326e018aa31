"""The job's description, and what comes back from its workers."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from apache_beam.io.filesystems import FileSystems

from beam_jobs.captioning.exports import Export
from beam_jobs.rejects import Budget
from beam_jobs.staging import StagedJob
from records.caption_manifest import SCHEMA_VERSION, CaptionShard
from records.caption_rows import shard_name
from records.dead_letters import DeadLetter
from records.errors import UserError
from records.shards import shard_of


class Found(NamedTuple):
    """The pictures of a pattern.

    Attributes:
        pictures: their number.
        digest: 64 hex digits of their paths and sizes.
    """

    pictures: int
    digest: str


@dataclasses.dataclass(frozen=True)
class CaptionJob(StagedJob):
    """One run of `caption_images`.

    Attributes:
        images: the pattern of the pictures' paths.
        found: what it finds.
        export: the model.
        output: the directory of captions.
        format: of the rows, one of `records.caption_rows.FORMATS`.
        embeddings: whether rows hold embeddings.
        batch_size: pictures in a call of the model.
        shards: files of rows.
        max_bad: rejected pictures that are put up with; None for any number.
        progress_file: local file that grows by a byte with each picture done, if wanted.
    """

    images: str
    found: Found
    export: Export
    output: str
    format: str
    embeddings: bool
    batch_size: int
    shards: int
    max_bad: Budget | None = None
    progress_file: str | None = None

    def shard_files(self) -> list[str]:
        return [shard_name(index, self.shards, self.format) for index in range(self.shards)]

    def plan(self) -> dict:
        return {
            "schema version": SCHEMA_VERSION,
            "format": self.format,
            "embeddings": self.embeddings,
            # It does not change what is said, but the last digits of how likely it is.
            "batch size": self.batch_size,
            "shards": self.shards,
            "pictures": self.found.digest,
            "model": self.export.fingerprint,
        }

    def paths(self) -> Iterator[str]:
        """Yield the paths of the pictures."""
        return (path for path, _ in match_pictures(self.images, self.output))

    def shard(self, path: str) -> str:
        """Return the file name of the shard that a picture belongs to."""
        return shard_name(shard_of(path, self.shards), self.shards, self.format)


@dataclasses.dataclass(frozen=True)
class CaptionOutcome:
    """The outcome of a part of the job; `merge` adds parts up.

    Attributes:
        shards: the shards that were written.
        dead_letters: what was rejected.
        embedding_size: numbers in an embedding; None where there are none.
    """

    shards: tuple[CaptionShard, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    embedding_size: int | None = None

    @property
    def rows(self) -> int:
        """Pictures in the shards."""
        return sum(shard.rows for shard in self.shards)

    def to_dict(self) -> dict:
        """Return the fields as JSON-ready values."""
        return dataclasses.asdict(self) | {
            "dead_letters": [letter.to_dict() for letter in self.dead_letters]
        }

    @classmethod
    def from_dict(cls, fields: dict) -> "CaptionOutcome":
        """Rebuild an outcome from `to_dict`, by way of JSON too."""
        changed = {
            "shards": tuple(CaptionShard(**shard) for shard in fields["shards"]),
            "dead_letters": tuple(map(DeadLetter.from_dict, fields["dead_letters"])),
        }
        return cls(**fields | changed)


def merge(outcomes: Iterable[CaptionOutcome]) -> CaptionOutcome:
    """Add up outcomes, in any order and any grouping (a Beam combiner)."""
    shards, letters, size = [], [], None
    for outcome in outcomes:
        shards.extend(outcome.shards)
        letters.extend(outcome.dead_letters)
        size = size or outcome.embedding_size
    return CaptionOutcome(tuple(shards), tuple(letters), size)


def match_pictures(images: str, output: str) -> Iterator[tuple[str, int]]:
    """Yield the path and the size in bytes of each file that a pattern matches.

    Args:
        images: the pattern.
        output: a directory whose files are none of the pictures.
    """
    own = FileSystems.join(output, "")
    for metadata in FileSystems.match([images])[0].metadata_list:
        if not metadata.path.startswith(own):
            yield metadata.path, metadata.size_in_bytes


def find_pictures(images: str, output: str) -> Found:
    """Look at the names of the pictures once, before anything is written.

    Args:
        images: the pattern.
        output: the directory that the job fills.

    Raises:
        UserError: no file matches, or one has a name that cannot be written down.
    """
    count = total = 0
    for path, size in match_pictures(images, output):
        try:
            digest = hashlib.sha256(f"{path}\0{size}".encode()).digest()
        except UnicodeEncodeError:
            raise UserError(f"{path!r}: its name is no UTF-8: rename it") from None
        # A sum does not depend on the order of the files.
        count, total = count + 1, total + int.from_bytes(digest, "big")
    if not count:
        raise UserError(
            f"no picture matches --images {images}: give a quoted pattern such as 'photos/*.jpg', "
            "or 'photos/**' for all below a directory"
        )
    return Found(count, f"{total % (1 << 256):064x}")
