"""How varied captions are: the other half of being good, which overlap with references misses."""

import dataclasses
import statistics
from collections import Counter
from collections.abc import Collection, Sequence

from records.vocabulary import SPECIALS, Vocabulary
from tfcap.metrics.ngrams import iterate_ngrams


@dataclasses.dataclass(frozen=True)
class Training:
    """What a captioner could have learned by heart.

    Attributes:
        captions: the cleaned captions of the training split.
        vocabulary: the words that it can say.
    """

    captions: frozenset[str]
    vocabulary: Vocabulary


@dataclasses.dataclass(frozen=True)
class Diversity:
    """How varied a set of captions is. Words are those of the cleaned captions.

    Attributes:
        distinct_1: different words by words said (0-1).
        distinct_2: different word pairs by word pairs said (0-1). Both fall as the set grows: they
            compare for the same pictures alone. Li et al., 2016
            (https://aclanthology.org/N16-1014).
        words: different words said.
        mean_words: words of a caption, on average.
        novel: share (0-1) of the captions that are no caption of the training split; None where
            that is not known.
        vocabulary_used: share (0-1) of the vocabulary that is said; None where it is not known.
    """

    distinct_1: float
    distinct_2: float
    words: int
    mean_words: float
    novel: float | None
    vocabulary_used: float | None


def measure_diversity(
    captions: Collection[Sequence[str]], training: Training | None = None
) -> Diversity:
    """Measure.

    Args:
        captions: the cleaned words of at least one caption.
        training: what the captioner was trained on, cleaned the same way.
    """
    words = Counter(word for caption in captions for word in caption)
    pairs = Counter(pair for caption in captions for pair in iterate_ngrams(caption, 2))
    novel = used = None
    if training:
        novel = statistics.fmean(" ".join(each) not in training.captions for each in captions)
        speakable = set(training.vocabulary.words[len(SPECIALS) :])
        used = len(speakable & words.keys()) / max(1, len(speakable))
    return Diversity(
        distinct_1=len(words) / max(1, words.total()),
        distinct_2=len(pairs) / max(1, pairs.total()),
        words=len(words),
        mean_words=statistics.fmean(map(len, captions)),
        novel=novel,
        vocabulary_used=used,
    )
