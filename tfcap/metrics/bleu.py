"""Corpus BLEU-1..4 as the COCO caption evaluation defines it.

BLEU (Papineni et al., 2002, https://aclanthology.org/P02-1040) with several references: n-gram
matches are clipped by the largest count in any one reference, and the brevity penalty compares
with the reference of the closest length.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from tfcap.metrics.ngrams import LONGEST, Ngram, count_ngrams

# The smoothing of the COCO code: no match gives a tiny score instead of a division by zero.
TINY = 1e-15
SMALL = 1e-9


@dataclasses.dataclass(frozen=True)
class BleuReferences:
    """What BLEU needs to know about the references of one picture.

    Attributes:
        lengths: words in each reference.
        counts: per order 1..4, each n-gram's largest count in any one reference.
    """

    lengths: tuple[int, ...]
    counts: tuple[Counter[Ngram], ...]

    @classmethod
    def prepare(cls, references: Sequence[Sequence[str]]) -> "BleuReferences":
        """Build from the tokens of at least one reference."""
        counts = tuple(Counter() for _ in range(LONGEST))
        for reference in references:
            for largest, counted in zip(counts, count_ngrams(reference), strict=True):
                largest |= counted  # the union of counters keeps the larger count
        return cls(tuple(map(len, references)), counts)

    def closest_length(self, length: int) -> int:
        """Return the reference length nearest to `length`; the shorter of two equally near."""
        return min(self.lengths, key=lambda words: (abs(words - length), words))


@dataclasses.dataclass(frozen=True)
class BleuMatches:
    """How one caption fares against its references.

    Attributes:
        length: words in the caption.
        reference_length: words in the closest reference.
        correct: per order 1..4, matched n-grams after clipping.
        guessed: per order 1..4, n-grams in the caption.
    """

    length: int
    reference_length: int
    correct: tuple[int, ...]
    guessed: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """All in a row: what `bleu_of_totals` wants summed over the captions."""
        return (self.length, self.reference_length, *self.correct, *self.guessed)


def match_caption(references: BleuReferences, tokens: Sequence[str]) -> BleuMatches:
    """Count what the caption's tokens and its references have in common."""
    counts = count_ngrams(tokens)
    return BleuMatches(
        length=len(tokens),
        reference_length=references.closest_length(len(tokens)),
        correct=tuple(
            sum(min(count, allowed[ngram]) for ngram, count in counted.items())
            for counted, allowed in zip(counts, references.counts, strict=True)
        ),
        guessed=tuple(map(Counter.total, counts)),
    )


def corpus_bleu(matches: Iterable[BleuMatches]) -> tuple[float, ...]:
    """Return BLEU-1..4 over all captions, in points (0-100).

    Counts and lengths are summed over the corpus before precisions and the brevity penalty are
    taken, so the result is not the mean of the pictures' scores.
    """
    totals = np.sum([match.counts for match in matches], axis=0)
    return tuple(bleu_of_totals(totals).tolist())


def bleu_of_totals(totals: np.ndarray) -> np.ndarray:
    """Return BLEU-1..4 of corpora of which the counts are summed.

    Args:
        totals: [..., 10], sums of `BleuMatches.counts`.

    Returns:
        float64 [..., 4], in points (0-100).
    """
    length, reference_length = totals[..., 0], totals[..., 1]
    correct, guessed = totals[..., 2 : 2 + LONGEST], totals[..., 2 + LONGEST :]
    ratio = (length + TINY) / (reference_length + SMALL)
    penalty = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    products = np.cumprod((correct + TINY) / (guessed + SMALL), axis=-1)
    return 100 * penalty[..., np.newaxis] * products ** (1 / np.arange(1, LONGEST + 1))
