"""How much of the captions the vocabulary covers, and what another size of it would."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from records.vocabulary import SPECIALS, Vocabulary
from tfcap.reports.survey import SplitSurvey, by_frequency

TRAIN = "train"  # the split that a vocabulary is made of


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How much of one split's captions is in the vocabulary.

    Attributes:
        tokens: words of all captions together.
        known_tokens: those that are in the vocabulary; the others are <unk> to a decoder.
        words: different words.
        known_words: those that are in the vocabulary.
    """

    tokens: int
    known_tokens: int
    words: int
    known_words: int


def coverage_of(word_counts: Mapping[str, int], vocabulary: Vocabulary) -> Coverage:
    """Return how much of a split the vocabulary covers."""
    known = [count for word, count in word_counts.items() if word in vocabulary.ids]
    return Coverage(sum(word_counts.values()), sum(known), len(word_counts), len(known))


def coverage_curve(word_counts: Mapping[str, int], ranking: Sequence[str]) -> list[float]:
    """Return the share of a split's words that the first 1, 2, 3... words of a ranking cover.

    Args:
        word_counts: occurrences by word in the split; not empty.
        ranking: words in the order in which they would enter a vocabulary.
    """
    total = sum(word_counts.values())
    covered = itertools.accumulate(word_counts.get(word, 0) for word in ranking)
    return [tokens / total for tokens in covered]


def vocabulary_ranking(vocabulary: Vocabulary, survey: Mapping[str, SplitSurvey]) -> list[str]:
    """Return the vocabulary's words and after them the training split's others, frequent first."""
    words = list(vocabulary.words[len(SPECIALS) :])
    if TRAIN not in survey:
        return words
    others = by_frequency(survey[TRAIN].word_counts)
    return words + [word for word in others if word not in vocabulary.ids]
