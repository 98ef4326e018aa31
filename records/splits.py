"""Splits: which picture is for training, which for validation, which for the test."""

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping

from records.errors import UserError
from records.shards import is_plain_word
from records.sources import check_key, decode_lines, numbered

# As the authors of Flickr8k named them; any of the three may be absent.
SPLIT_FILES = {
    "train": "Flickr_8k.trainImages.txt",
    "val": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}

_PLAIN_WORD = "lower-case letters, digits and underscores, a letter first"
_VALIDATION = ("dev", "valid", "validation")
# Sets the hash apart from that of `shard_of`: which split says nothing about which shard.
_HASH_DOMAIN = b"split:"


@dataclasses.dataclass(frozen=True)
class HashSplits:
    """Splits by a hash of the key: no list to keep, and no picture changes sides as others come.

    The hash is a point in [0, 1), and the ratios are laid end to end there. So a split keeps its
    pictures while its own ratio and those before it stay: put the test split first to cut the rest
    anew without touching it.

    Attributes:
        ratios: the share of each split, by name, in order; they sum to 1.
    """

    ratios: tuple[tuple[str, float], ...]

    def __post_init__(self):
        names = [name for name, _ in self.ratios]
        for name, ratio in self.ratios:
            if not is_plain_word(name):
                raise ValueError(f"split {name!r} must be {_PLAIN_WORD}")
            if names.count(name) > 1:
                raise ValueError(f"split {name} is there {names.count(name)} times: name it once")
            if not ratio > 0:
                raise ValueError(f"the ratio of {name} must be above 0, got {ratio}")
        total = math.fsum(ratio for _, ratio in self.ratios)
        if not math.isclose(total, 1, rel_tol=0, abs_tol=1e-9):
            raise ValueError(f"the ratios must sum to 1, got {total:g}")

    @classmethod
    def parse(cls, text: str) -> "HashSplits":
        """Read "train=0.8,val=0.1,test=0.1"; names are taken as `canonical_split` has them.

        Raises:
            UserError: not of that form, or ratios that `HashSplits` refuses.
        """
        ratios = []
        for part in text.split(","):
            name, _, number = part.partition("=")
            try:
                ratios.append((canonical_split(name), float(number)))
            except ValueError:
                raise UserError(
                    f"{part.strip()[:60]!r} is no share of a split: write shares as in "
                    "train=0.8,val=0.1,test=0.1"
                ) from None
        try:
            return cls(tuple(ratios))
        except ValueError as error:
            raise UserError(f"splits {text[:120]!r}: {error}") from None

    def split_of(self, key: str) -> str:
        """Return the split of a picture; it depends on nothing but the key and the ratios."""
        digest = hashlib.sha256(_HASH_DOMAIN + key.encode("utf-8", "surrogatepass")).digest()
        # As many bits as a float holds exactly: more could round up to 1.
        point = (int.from_bytes(digest[:8], "big") >> 11) / 2**53
        edge = 0.0
        for name, ratio in self.ratios:
            edge += ratio
            if point < edge:
                return name
        return self.ratios[-1][0]  # the ratios sum to a hair below 1


def canonical_split(name: str) -> str:
    """Return a split's name in the words of this project: "Validation" -> "val".

    Any other plain word stays: "restval" too is a split of its own, so that nothing is quietly
    trained on.

    Raises:
        UserError: no plain word.
    """
    word = name.strip().lower()
    if word in _VALIDATION:
        return "val"
    if not is_plain_word(word):
        raise UserError(f"split {name[:60]!r} must be {_PLAIN_WORD}: rename it")
    return word


def parse_keys(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Read a list of picture file names, one a line; blank lines do not count.

    Args:
        lines: of the file, UTF-8.
        name: of the file, for messages.

    Raises:
        UserError: not UTF-8, or a line that is no plain file name.
    """
    for number, line in numbered(decode_lines(lines, name)):
        key = line.strip()
        check_key(key, f"{name}, line {number}")
        yield key


def parse_splits(files: Mapping[str, Iterable[bytes]], directory: str) -> dict[str, str]:
    """Read the split files of a directory.

    Args:
        files: lines of each of `SPLIT_FILES` that is there, by split.
        directory: where they are, for messages.

    Returns:
        the split of each picture, by file name.

    Raises:
        UserError: no split file at all, or a picture in two splits.
    """
    if not files:
        names = ", ".join(SPLIT_FILES.values())
        raise UserError(f"no split file in {directory}: put at least one of {names} there")
    split_of = {}
    for split, lines in files.items():
        for key in parse_keys(lines, f"{directory}/{SPLIT_FILES[split]}"):
            if split_of.setdefault(key, split) != split:
                raise UserError(
                    f"{key} is in two splits of {directory}, {split_of[key]} and {split}: "
                    "take it out of one"
                )
    return split_of
