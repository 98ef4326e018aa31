"""Pictures that are there more than once."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from records.audit.marks import RADIUS, PictureMarks, alike
from records.audit.neighbours import close_pairs
from records.audit.report import Likeness, PicturePair


@dataclasses.dataclass(frozen=True)
class AuditedPicture:
    """What an audit keeps of a record.

    Attributes:
        split: where it is.
        key: its file name.
        sha256: of the source picture's bytes.
        marks: of the stored picture.
        captions: cleaned.
    """

    split: str
    key: str
    sha256: str
    marks: PictureMarks
    captions: frozenset[str]


def duplicate_pairs(pictures: Sequence[AuditedPicture]) -> tuple[PicturePair, ...]:
    """Return the pairs with the same bytes, the same pixels, or nearly the same picture.

    Of pictures that are the same, each is paired with the first one of every split, which shows all
    that leak without the square of a large group; only those first ones are compared further.

    Args:
        pictures: in the order of (split, key).

    Returns:
        the pairs, leaks first, then the strongest kind, then the smallest distance.
    """
    by_bytes = [
        _pair(Likeness.BYTES, a, b) for a, b in _equal_pairs(pictures, lambda each: each.sha256)
    ]
    pictures = _firsts(pictures, lambda each: each.sha256)
    by_pixels = [
        _pair(Likeness.PIXELS, a, b)
        for a, b in _equal_pairs(pictures, lambda each: each.marks.pixels)
        if a.sha256 != b.sha256
    ]
    pictures = _firsts(pictures, lambda each: each.marks.pixels)
    strength = list(Likeness)
    return tuple(
        sorted(
            [*by_bytes, *by_pixels, *_near_pairs(pictures)],
            key=lambda pair: (
                not pair.leak,
                strength.index(pair.kind),
                pair.distance,
                pair.splits,
                pair.keys,
            ),
        )
    )


def equal_caption_sets(pictures: Sequence[AuditedPicture]) -> tuple[PicturePair, ...]:
    """Return the pairs of different splits whose captions are the same set.

    Args:
        pictures: in the order of (split, key).
    """
    captioned = [picture for picture in pictures if picture.captions]
    pairs = (
        _pair(Likeness.CAPTIONS, a, b)
        for a, b in _equal_pairs(captioned, lambda each: each.captions)
    )
    leaks = (pair for pair in pairs if pair.leak)
    return tuple(sorted(leaks, key=lambda pair: (pair.splits, pair.keys)))


def _near_pairs(pictures: Iterable[AuditedPicture]) -> Iterator[PicturePair]:
    structured = [picture for picture in pictures if not picture.marks.flat]
    for i, j, distance in close_pairs([each.marks.hash for each in structured], RADIUS):
        a, b = structured[i], structured[j]
        if a.marks.pixels != b.marks.pixels and alike(a.marks, b.marks):
            yield _pair(Likeness.NEAR, a, b, distance)


def _equal_pairs(
    pictures: Iterable[AuditedPicture], mark: Callable[[AuditedPicture], Hashable]
) -> Iterator[tuple[AuditedPicture, AuditedPicture]]:
    """Pair each picture with the first one of every split that has the same mark."""
    groups = defaultdict(list)
    for picture in pictures:
        groups[mark(picture)].append(picture)
    for group in groups.values():
        splits = [picture.split for picture in group]
        firsts = {splits.index(split) for split in dict.fromkeys(splits)}
        for at, picture in enumerate(group):
            for first in firsts:
                # Two firsts are paired once, at the later one.
                if first < at or (first > at and at not in firsts):
                    yield group[first], picture


def _firsts(
    pictures: Iterable[AuditedPicture], mark: Callable[[AuditedPicture], Hashable]
) -> list[AuditedPicture]:
    """Return the first picture of every mark and split."""
    firsts = {}
    for picture in pictures:
        firsts.setdefault((mark(picture), picture.split), picture)
    return list(firsts.values())


def _pair(kind: Likeness, a: AuditedPicture, b: AuditedPicture, distance: int = 0) -> PicturePair:
    a, b = sorted((a, b), key=lambda picture: (picture.split, picture.key))
    return PicturePair(kind, (a.key, b.key), (a.split, b.split), distance)
