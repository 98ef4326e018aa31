"""Captions by how well their words match those of a query.

The cosine between TF-IDF vectors: a word weighs as often as it is said, times
ln((1 + N) / (1 + n)) + 1, where n of the N captions have it. Source: Salton & Buckley,
"Term-weighting approaches in automatic text retrieval", 1988, with the smoothing of scikit-learn.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Match(NamedTuple):
    """A caption that shares a word with the query.

    Attributes:
        index: of the caption.
        score: 0..1, 1 for the same words as often.
    """

    index: int
    score: float


def match_captions(query: Sequence[str], captions: Sequence[Sequence[str]]) -> list[Match]:
    """Rank the captions that share a word with a query.

    Args:
        query: its words.
        captions: the words of each caption.

    Returns:
        the best first. A caption of the same words in the same order comes before all others;
        among equals, the order of the captions stays.
    """
    having = Counter(word for words in captions for word in set(words))

    def weights(words: Sequence[str]) -> dict[str, float]:
        return {
            word: count * (math.log((1 + len(captions)) / (1 + having[word])) + 1)
            for word, count in Counter(words).items()
        }

    wanted, order = weights(query), list(query)
    matches = [
        Match(index, _cosine(wanted, weights(words)))
        for index, words in enumerate(captions)
        if not wanted.keys().isdisjoint(words)
    ]
    return sorted(matches, key=lambda match: (list(captions[match.index]) != order, -match.score))


def _cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    product = math.fsum(one[word] * other[word] for word in one.keys() & other.keys())
    return product / (_length(one) * _length(other))


def _length(vector: Mapping[str, float]) -> float:
    # An exact sum does not depend on the order of the words.
    return math.sqrt(math.fsum(value**2 for value in vector.values()))
