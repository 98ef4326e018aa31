"""What a directory of captions holds: the manifest that `caption_images` writes last."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from records.caption_rows import FORMATS, CaptionRow, read_rows
from records.captions import CaptionSpec
from records.errors import UserError
from records.manifest import MANIFEST
from records.specs import canonical_hash

KIND = "captions"
SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class CaptionShard:
    """One file of rows.

    Attributes:
        file: its name.
        rows: pictures in it.
        bytes: its size.
        sha256: of its bytes, 64 hex digits.
    """

    file: str
    rows: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class CaptionManifest:
    """All of one run of `caption_images`.

    Attributes:
        images: the pattern that found the pictures.
        plan: what decides the rows, pictures aside.
        card: what the export says of itself.
        shards: the files, in the order of their names.
        embedding_size: numbers in an embedding; None without embeddings.
        rejected: pictures that are in no shard.
        dead_letters: their number by reason.
    """

    images: str
    plan: dict
    card: dict
    shards: tuple[CaptionShard, ...]
    embedding_size: int | None
    rejected: int
    dead_letters: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Pictures that have a caption."""
        return sum(shard.rows for shard in self.shards)

    @property
    def format(self) -> str:
        """One of `records.caption_rows.FORMATS`."""
        return self.plan["format"]

    @property
    def cleaning(self) -> CaptionSpec:
        """How the model's captions were cleaned."""
        return CaptionSpec.from_dict(self.card["caption"])

    @property
    def fingerprint(self) -> str:
        """64 hex digits that follow from the rows and the plan, wherever they were made."""
        return canonical_hash(
            {"plan": self.plan, "shards": [dataclasses.asdict(shard) for shard in self.shards]}
        )

    def to_json(self) -> str:
        """Return the text of `manifest.json`."""
        fields = {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "fingerprint": self.fingerprint,
            **dataclasses.asdict(self),
        }
        return json.dumps(fields, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str) -> "CaptionManifest":
        """Read the text of `manifest.json`.

        Args:
            text: of the file.
            name: of the file, for messages.

        Raises:
            UserError: it is no manifest of captions, or has been changed.
        """
        try:
            fields = json.loads(text)
            kind, version = fields.pop("kind", None), fields.pop("schema_version", None)
            if (kind, version) != (KIND, SCHEMA_VERSION):
                raise ValueError(f"its kind is {kind!r}, version {version!r}")
            fingerprint = fields.pop("fingerprint", None)
            shards = tuple(CaptionShard(**shard) for shard in fields.pop("shards"))
            manifest = cls(**fields, shards=shards)
            if manifest.fingerprint != fingerprint:
                raise ValueError("its fingerprint is not that of its content")
            if manifest.format not in FORMATS:
                raise ValueError(f"its format is {manifest.format!r}")
            CaptionSpec.from_dict(manifest.card["caption"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(
                f"{name} is no manifest of captions ({error}): give a directory that "
                "`python -m beam_jobs.caption_images` wrote"
            ) from None
        return manifest


def load_caption_manifest(directory: Path) -> CaptionManifest:
    """Read the manifest of a directory of captions; raises UserError where there is none."""
    path = directory / MANIFEST
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        raise UserError(
            f"{directory} holds no captions: write some with `python -m beam_jobs.caption_images "
            f"--output {directory}`"
        ) from None
    return CaptionManifest.from_json(text, str(path))


def read_captions(directory: Path, manifest: CaptionManifest) -> Iterator[CaptionRow]:
    """Read all rows, shard by shard, in stored order.

    Raises:
        UserError: a shard is missing or damaged.
    """
    for shard in manifest.shards:
        path = directory / shard.file
        try:
            yield from read_rows(path, manifest.format)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path} is missing or damaged ({error}): run `caption_images` again with "
                "--overwrite"
            ) from None
