"""What a mean score is made of: its pictures, and its references by their length and words."""

import bisect
import hashlib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from records.captions import CaptionSpec, tokenize_caption
from records.vocabulary import SPECIALS, Vocabulary
from tfcap.metrics.cider import SCALE, DocumentFrequencies, NgramVectors, similarity
from tfcap.metrics.ptb import ptb_tokenize

# The largest value of each bucket; the last bucket has what is above.
LENGTHS = (5, 8, 11, 14, 19)
RANKS = (100, 300, 1000)

# Sets the hash apart from others of the same keys.
_HASH_DOMAIN = "evaluation"


class ReferenceScore(NamedTuple):
    """What one reference contributes to the score of its picture.

    Attributes:
        words: of the reference, cleaned.
        cider: CIDEr-D (0-10) of the picture's caption against this reference alone.
    """

    words: tuple[str, ...]
    cider: float


class Bucket(NamedTuple):
    """Some of the references.

    Attributes:
        name: what they have in common.
        count: how many they are.
        cider: their mean CIDEr-D (0-10).
    """

    name: str
    count: int
    cider: float


class Choice(NamedTuple):
    """Keys of pictures to look at; no picture is in two of the lists.

    Attributes:
        best: those with the highest scores, highest first.
        worst: those with the lowest, lowest first.
        random: some of the others.
    """

    best: list[str]
    worst: list[str]
    random: list[str]


def score_references(
    references: Mapping[str, Sequence[str]], captions: Mapping[str, str], cleaning: CaptionSpec
) -> dict[str, list[ReferenceScore]]:
    """Score each picture's caption against each of its references.

    CIDEr-D of a picture is the mean over its references (see `tfcap.metrics.cider`), so each has
    a share of it that can be told. Document frequencies are those of all the references here.

    Args:
        references: the raw captions of each picture, one at least.
        captions: the generated caption of each of these pictures.
        cleaning: what makes words of a reference.
    """
    tokens = {key: [ptb_tokenize(raw) for raw in references[key]] for key in captions}
    frequencies = DocumentFrequencies.count(tokens.values())
    scores = {}
    for key, caption in captions.items():
        said = NgramVectors.weigh(ptb_tokenize(caption), frequencies)
        scores[key] = [
            ReferenceScore(
                tuple(tokenize_caption(raw, cleaning)),
                SCALE * similarity(said, NgramVectors.weigh(of_reference, frequencies)),
            )
            for raw, of_reference in zip(references[key], tokens[key], strict=True)
        ]
    return scores


def picture_scores(scores: Mapping[str, Sequence[ReferenceScore]]) -> dict[str, float]:
    """Return each picture's CIDEr-D (0-10): the mean over its references."""
    return {
        key: statistics.fmean(score.cider for score in of_picture)
        for key, of_picture in scores.items()
    }


def choose_pictures(scores: Mapping[str, float], count: int, seed: int = 0) -> Choice:
    """Choose pictures to look at.

    Args:
        scores: of each picture.
        count: of each kind, at most; of fewer than three times as many pictures, each kind gets a
            third.
        seed: of the random ones, and of which of equal pictures are taken. The choice depends on
            keys, scores and seed, not on the order of the pictures.
    """

    def drawn(key: str) -> bytes:
        return hashlib.sha256(f"{_HASH_DOMAIN}:{seed}:{key}".encode("utf-8", "replace")).digest()

    ranked = sorted(scores, key=lambda key: (-scores[key], drawn(key), key))
    count = min(count, -(-len(ranked) // 3))
    best = ranked[:count]
    worst = ranked[count:][::-1][:count]
    rest = sorted(ranked[count : len(ranked) - len(worst)], key=lambda key: (drawn(key), key))
    return Choice(best, worst, rest[:count])


def by_length(scores: Iterable[ReferenceScore]) -> list[Bucket]:
    """Return the mean score by the number of words of a reference; empty buckets are left out."""
    return _buckets(((len(score.words), score.cider) for score in scores), LENGTHS)


def by_rarest_word(scores: Iterable[ReferenceScore], vocabulary: Vocabulary) -> list[Bucket]:
    """Return the mean score by how rare the rarest word of a reference is in training.

    Args:
        scores: of references; those without any word are left out.
        vocabulary: of the training split, frequent words first; a word's rank is its place there,
            from 1.

    Returns:
        the buckets that are not empty; the last one is of references with a word that the
        vocabulary does not have.
    """
    known, unknown = [], []
    for score in scores:
        ids = [vocabulary.ids.get(word) for word in score.words]
        if None in ids:
            unknown.append(score.cider)
        elif ids:
            known.append((max(ids) - len(SPECIALS) + 1, score.cider))
    buckets = _buckets(known, RANKS)
    if unknown:
        buckets.append(Bucket("not in the vocabulary", len(unknown), statistics.fmean(unknown)))
    return buckets


def _buckets(scored: Iterable[tuple[int, float]], edges: Sequence[int]) -> list[Bucket]:
    """Sort scores into buckets by a number that comes with each.

    Args:
        scored: (number, score) pairs.
        edges: the largest number of each bucket, rising; one more bucket has what is above.
    """
    members: list[list[float]] = [[] for _ in (*edges, None)]
    for number, score in scored:
        members[bisect.bisect_left(edges, number)].append(score)
    lows = (None, *(edge + 1 for edge in edges))
    highs = (*edges, None)
    return [
        Bucket(_range_name(low, high), len(scores), statistics.fmean(scores))
        for low, high, scores in zip(lows, highs, members, strict=True)
        if scores
    ]


def _range_name(low: int | None, high: int | None) -> str:
    if low is None:
        return f"up to {high:,}"
    return f"{low:,} and more" if high is None else f"{low:,} to {high:,}"
