"""Captions that splits share, and captions that teach nothing."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from records.audit.report import Degeneracy, DegenerateCaption, SharedCaption

MIN_WORDS = 3


def degenerate_captions(
    split: str, key: str, raw: Sequence[str], cleaned: Sequence[str]
) -> Iterator[DegenerateCaption]:
    """Return the captions of one picture that teach nothing, each with its reason.

    A caption is short with fewer than `MIN_WORDS` cleaned words; else it may be one word said over
    and over; and it may be there twice, which is told at the second time.
    """
    seen = set()
    for written, caption in zip(raw, cleaned, strict=True):
        words = caption.split()
        if len(words) < MIN_WORDS:
            yield DegenerateCaption(Degeneracy.SHORT, split, key, written)
        elif len(set(words)) == 1:
            yield DegenerateCaption(Degeneracy.ONE_WORD, split, key, written)
        if caption in seen:
            yield DegenerateCaption(Degeneracy.REPEATED, split, key, written)
        seen.add(caption)


def shared_captions(
    pictures: Iterable[tuple[str, frozenset[str]]],
) -> tuple[tuple[SharedCaption, ...], int]:
    """Find the captions that pictures of several splits carry.

    Args:
        pictures: (split, cleaned captions) of each.

    Returns:
        the captions, the most frequent first, and the number of pictures that carry one of them.
    """
    pictures = list(pictures)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for split, captions in pictures:
        for caption in captions:
            counts[caption][split] += 1
    shared = {
        caption: SharedCaption(caption, dict(by_split))
        for caption, by_split in counts.items()
        if len(by_split) > 1
    }
    carriers = sum(not shared.keys().isdisjoint(captions) for _, captions in pictures)
    ordered = sorted(shared.values(), key=lambda found: (-found.total, found.caption))
    return tuple(ordered), carriers
