"""What an audit finds, as plain data."""

import dataclasses
import enum
from collections.abc import Mapping


class Likeness(str, enum.Enum):
    """In what two pictures are alike, the strongest first."""

    BYTES = "bytes"
    PIXELS = "pixels"
    NEAR = "near"
    CAPTIONS = "captions"


class Degeneracy(str, enum.Enum):
    """Why a caption teaches nothing."""

    SHORT = "short"
    ONE_WORD = "one_word"
    REPEATED = "repeated"


@dataclasses.dataclass(frozen=True)
class PicturePair:
    """Two pictures that are alike.

    Attributes:
        kind: the strongest likeness of the two.
        keys: the file names of both, in the order of (split, key).
        splits: where they are, in the same order.
        distance: bits in which the perceptual hashes differ, of 64; 0 unless `kind` is near.
    """

    kind: Likeness
    keys: tuple[str, str]
    splits: tuple[str, str]
    distance: int = 0

    @property
    def leak(self) -> bool:
        """Whether the pair crosses splits."""
        return self.splits[0] != self.splits[1]

    def to_dict(self) -> dict:
        """Return the fields and `leak` as JSON-ready values."""
        return {
            "kind": self.kind.value,
            "keys": list(self.keys),
            "splits": list(self.splits),
            "distance": self.distance,
            "leak": self.leak,
        }


@dataclasses.dataclass(frozen=True)
class SharedCaption:
    """A caption that pictures of several splits carry.

    Attributes:
        caption: cleaned.
        pictures: number of pictures that carry it, by split; at least two splits.
    """

    caption: str
    pictures: Mapping[str, int]

    @property
    def total(self) -> int:
        """Pictures that carry it, in all splits."""
        return sum(self.pictures.values())

    def to_dict(self) -> dict:
        """Return the fields as JSON-ready values."""
        return {"caption": self.caption, "pictures": dict(sorted(self.pictures.items()))}


@dataclasses.dataclass(frozen=True)
class DegenerateCaption:
    """A caption that teaches nothing.

    Attributes:
        kind: why.
        split: of its picture.
        key: file name of its picture.
        caption: as its author wrote it.
    """

    kind: Degeneracy
    split: str
    key: str
    caption: str

    def to_dict(self) -> dict:
        """Return the fields as JSON-ready values."""
        return dataclasses.asdict(self) | {"kind": self.kind.value}


@dataclasses.dataclass(frozen=True)
class Audit:
    """Everything an audit finds in one dataset; equal datasets give equal audits.

    Attributes:
        dataset: its name.
        fingerprint: of its manifest.
        pictures: number of pictures, by split.
        captions: number of captions, by split.
        duplicates: pairs of kind bytes, pixels or near: leaks first, then the strongest kind,
            then the smallest distance.
        shared_captions: captions of several splits, the most frequent first.
        shared_caption_pictures: number of pictures that carry at least one of them.
        equal_caption_sets: pairs of kind captions: pictures of different splits whose cleaned
            captions are the same set.
        degenerate_captions: in the order of (kind, split, key).
    """

    dataset: str
    fingerprint: str
    pictures: Mapping[str, int]
    captions: Mapping[str, int]
    duplicates: tuple[PicturePair, ...]
    shared_captions: tuple[SharedCaption, ...]
    shared_caption_pictures: int
    equal_caption_sets: tuple[PicturePair, ...]
    degenerate_captions: tuple[DegenerateCaption, ...]

    @property
    def leaks(self) -> tuple[PicturePair, ...]:
        """The duplicates that cross splits."""
        return tuple(pair for pair in self.duplicates if pair.leak)

    def to_dict(self) -> dict:
        """Return all fields as JSON-ready values."""
        return {
            "dataset": self.dataset,
            "fingerprint": self.fingerprint,
            "pictures": dict(sorted(self.pictures.items())),
            "captions": dict(sorted(self.captions.items())),
            "duplicates": [pair.to_dict() for pair in self.duplicates],
            "shared_captions": [shared.to_dict() for shared in self.shared_captions],
            "shared_caption_pictures": self.shared_caption_pictures,
            "equal_caption_sets": [pair.to_dict() for pair in self.equal_caption_sets],
            "degenerate_captions": [found.to_dict() for found in self.degenerate_captions],
        }
