"""The manifest: what a dataset directory holds, and the fingerprint of it all."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from records.captions import CaptionSpec
from records.errors import UserError
from records.pictures import PictureSpec
from records.shards import ShardName
from records.specs import canonical_hash

SCHEMA_VERSION = 2
MANIFEST = "manifest.json"
VOCABULARY = "vocab.txt"
DEAD_LETTERS = "dead_letters.jsonl"


@dataclasses.dataclass(frozen=True)
class ShardInfo:
    """One shard file.

    Attributes:
        file: its name.
        records: pictures in it.
        captions: captions of those pictures.
        bytes: its size.
        sha256: of its bytes, 64 hex digits.
        index_sha256: of its offset index, 64 hex digits.
    """

    file: str
    records: int
    captions: int
    bytes: int
    sha256: str
    index_sha256: str

    def __post_init__(self):
        ShardName.parse(self.file)

    @property
    def index_file(self) -> str:
        """The name of its offset index."""
        return ShardName.parse(self.file).index_file


@dataclasses.dataclass(frozen=True)
class SplitInfo:
    """One split: all its shards, one at least, in the order of their names."""

    shards: tuple[ShardInfo, ...]

    def __post_init__(self):
        if not self.shards:
            raise ValueError("a split must have a shard")

    @property
    def records(self) -> int:
        """Pictures in the split."""
        return sum(shard.records for shard in self.shards)

    @property
    def captions(self) -> int:
        """Captions in the split."""
        return sum(shard.captions for shard in self.shards)


@dataclasses.dataclass(frozen=True)
class SourceInfo:
    """What the dataset was built from, in whatever form and order it was given.

    Attributes:
        pictures: captioned pictures that have a split, good or bad.
        captions: their captions.
        digest: of their keys, captions and splits, 64 hex digits.
        unassigned: captioned pictures in no split; they are in no shard.
    """

    pictures: int
    captions: int
    digest: str
    unassigned: int


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Of all records together.

    Attributes:
        captions_per_picture: number of pictures by number of captions.
        caption_words_mean: words of a cleaned caption, on average, to 4 decimals.
        caption_words_max: words of the longest cleaned caption.
    """

    captions_per_picture: Mapping[int, int]
    caption_words_mean: float
    caption_words_max: int


@dataclasses.dataclass(frozen=True)
class Manifest:
    """`manifest.json` of a dataset directory. It holds no time and no path.

    Attributes:
        name: of the dataset; the shard names begin with it.
        picture: the picture policy.
        caption: how the captions were cleaned, and which words the vocabulary has.
        vocabulary_size: words in `vocab.txt`, special tokens included.
        vocabulary_sha256: of `vocab.txt`.
        split_infos: the splits, by name.
        source: what it was built from.
        rejected: pictures of the source that are in no shard for what is wrong with them.
        dead_letters: number of dead letters by reason.
        statistics: of all records together.
    """

    name: str
    picture: PictureSpec
    caption: CaptionSpec
    vocabulary_size: int
    vocabulary_sha256: str
    split_infos: Mapping[str, SplitInfo]
    source: SourceInfo
    rejected: int
    dead_letters: Mapping[str, int]
    statistics: Statistics

    def __post_init__(self):
        counts = (self.rejected, *self.dead_letters.values(), *vars(self.statistics).values())
        if not all(isinstance(count, (int, float, Mapping)) for count in counts):
            raise ValueError("rejected, dead_letters and statistics must be numbers")

    @property
    def fingerprint(self) -> str:
        """64 hex digits that change whenever the records, the vocabulary or a spec does."""
        return canonical_hash(self._content())

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits, sorted."""
        return tuple(sorted(self.split_infos))

    def split(self, split: str) -> SplitInfo:
        """Return one split.

        Raises:
            UserError: there is no such split.
        """
        if split not in self.split_infos:
            raise UserError(
                f"dataset {self.name} has no split {split!r}: choose one of "
                + ", ".join(self.splits)
            )
        return self.split_infos[split]

    def shard_paths(self, directory: Path, split: str) -> list[Path]:
        """Return the shard files of a split, in order; raises UserError for an unknown split."""
        return [directory / shard.file for shard in self.split(split).shards]

    def records(self, split: str) -> int:
        """Return the number of pictures of a split; raises UserError for an unknown split."""
        return self.split(split).records

    def to_json(self) -> str:
        """Return the text of `manifest.json`; equal manifests give equal text."""
        statistics = dataclasses.asdict(self.statistics)
        statistics["captions_per_picture"] = {
            str(captions): pictures
            for captions, pictures in sorted(self.statistics.captions_per_picture.items())
        }
        fields = self._content() | {
            "source": dataclasses.asdict(self.source),
            "rejected": self.rejected,
            "dead_letters": dict(sorted(self.dead_letters.items())),
            "statistics": statistics,
            "fingerprint": self.fingerprint,
        }
        return json.dumps(fields, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str) -> "Manifest":
        """Read the text of a manifest.

        Args:
            text: of `manifest.json`.
            name: of the file, for messages.

        Raises:
            UserError: no manifest, of another schema version, or one that was edited.
        """
        try:
            fields = json.loads(text)
            version = fields["schema_version"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise UserError(f"{name} is no manifest: build the dataset again") from None
        if version != SCHEMA_VERSION:
            raise UserError(
                f"{name} has schema version {version!r}, this program reads {SCHEMA_VERSION}: "
                "build the dataset again with this program"
            )
        try:
            manifest = cls._from_fields(fields)
            manifest._check_hashes(fields, name)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{name} is no valid manifest ({type(error).__name__}: {error}): "
                "build the dataset again"
            ) from None
        return manifest

    def _content(self) -> dict:
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "picture": self.picture.to_dict(),
            "picture_digest": self.picture.digest(),
            "caption": self.caption.to_dict(),
            "caption_digest": self.caption.digest(),
            "vocabulary": {"size": self.vocabulary_size, "sha256": self.vocabulary_sha256},
            "splits": {
                split: {
                    "records": self.records(split),
                    "captions": self.split(split).captions,
                    "shards": [dataclasses.asdict(shard) for shard in self.split(split).shards],
                }
                for split in self.splits
            },
        }

    @classmethod
    def _from_fields(cls, fields: dict) -> "Manifest":
        statistics = Statistics(**fields["statistics"])
        per_picture = {int(n): count for n, count in statistics.captions_per_picture.items()}
        return cls(
            name=fields["name"],
            picture=PictureSpec.from_dict(fields["picture"]),
            caption=CaptionSpec.from_dict(fields["caption"]),
            vocabulary_size=fields["vocabulary"]["size"],
            vocabulary_sha256=fields["vocabulary"]["sha256"],
            split_infos={
                split: SplitInfo(tuple(ShardInfo(**shard) for shard in info["shards"]))
                for split, info in fields["splits"].items()
            },
            source=SourceInfo(**fields["source"]),
            rejected=fields["rejected"],
            dead_letters=fields["dead_letters"],
            statistics=dataclasses.replace(statistics, captions_per_picture=per_picture),
        )

    def _check_hashes(self, fields: dict, name: str) -> None:
        for key, computed in (
            ("picture_digest", self.picture.digest()),
            ("caption_digest", self.caption.digest()),
            ("fingerprint", self.fingerprint),
        ):
            if fields.get(key) != computed:
                raise UserError(
                    f"{name}: {key} is {fields.get(key)!r}, its content gives {computed!r}: "
                    "the file was edited; build the dataset again"
                )


def load_manifest(directory: Path) -> Manifest:
    """Read the manifest of a dataset directory.

    Raises:
        UserError: there is no such directory, no manifest in it (the build did not end), or an
            invalid one; the file and the remedy are named.
    """
    path = directory / MANIFEST
    if not directory.is_dir():
        raise UserError(f"no directory {directory}: give the --output of a build_records run")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            f"no {MANIFEST} in {directory}: not a dataset, or its build did not end; build it again"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from None
    return Manifest.from_json(text, str(path))
