"""CIDEr-D as the COCO caption evaluation computes it.

CIDEr-D (Vedantam et al., 2015, https://arxiv.org/abs/1411.5726): the cosine of tf-idf weighted
n-grams of a caption and each reference, clipped, damped by the difference of their lengths,
averaged over references and orders 1..4, times 10.
"""

import dataclasses
import functools
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

from tfcap.metrics.ngrams import LONGEST, Ngram, count_ngrams

# Standard deviation of the length penalty, in words, and the final factor, both from the paper.
SIGMA = 6.0
SCALE = 10.0


@dataclasses.dataclass(frozen=True)
class DocumentFrequencies:
    """In how many pictures' references each n-gram occurs.

    Attributes:
        counts: pictures by n-gram, all orders together.
        pictures: all pictures counted.
    """

    counts: Mapping[Ngram, int]
    pictures: int

    @classmethod
    def count(cls, references: Iterable[Sequence[Sequence[str]]]) -> "DocumentFrequencies":
        """Count over the tokenized references of each picture."""
        counts, pictures = Counter(), 0
        for picture in references:
            counts.update(
                {ngram for tokens in picture for n in count_ngrams(tokens) for ngram in n}
            )
            pictures += 1
        return cls(counts, pictures)

    @functools.cached_property
    def inverse(self) -> Mapping[Ngram, float]:
        """Inverse document frequency by n-gram: log(pictures / count)."""
        return {ngram: math.log(self.pictures / count) for ngram, count in self.counts.items()}

    @functools.cached_property
    def inverse_unseen(self) -> float:
        """Inverse document frequency of an n-gram in no reference: as if it were in one."""
        return math.log(self.pictures)


@dataclasses.dataclass(frozen=True)
class NgramVectors:
    """A caption as four sparse vectors.

    Attributes:
        weights: per order 1..4, tf-idf weight by n-gram.
        norms: per order 1..4, Euclidean norm of the weights.
        pairs: word pairs in the caption: what the COCO code takes for its length.
    """

    weights: tuple[Mapping[Ngram, float], ...]
    norms: tuple[float, ...]
    pairs: int

    @classmethod
    def weigh(cls, tokens: Sequence[str], frequencies: DocumentFrequencies) -> "NgramVectors":
        """Weigh each n-gram's count by its inverse document frequency."""
        inverse, unseen = frequencies.inverse, frequencies.inverse_unseen
        weights = tuple(
            {ngram: count * inverse.get(ngram, unseen) for ngram, count in counted.items()}
            for counted in count_ngrams(tokens)
        )
        norms = tuple(math.sqrt(sum(w * w for w in order.values())) for order in weights)
        return cls(weights, norms, max(0, len(tokens) - 1))


def similarity(caption: NgramVectors, reference: NgramVectors) -> float:
    """Return the mean over orders of the clipped cosine, times the length penalty: 0 to 1."""
    total = 0.0
    for order in range(LONGEST):
        norms = caption.norms[order] * reference.norms[order]
        if norms == 0:
            continue
        weights = reference.weights[order]
        product = sum(
            min(weight, weights[ngram]) * weights[ngram]
            for ngram, weight in caption.weights[order].items()
            if ngram in weights
        )
        total += product / norms
    difference = caption.pairs - reference.pairs
    return total / LONGEST * math.exp(-(difference**2) / (2 * SIGMA**2))


class CiderReferences:
    """References weighed once and scored against many times: every epoch, or every sample.

    Attributes:
        frequencies: the document frequencies in use.
    """

    def __init__(
        self,
        references: Mapping[Hashable, Sequence[Sequence[str]]],
        frequencies: DocumentFrequencies | None = None,
    ):
        """Weigh the references.

        Args:
            references: by picture, the tokens of at least one reference.
            frequencies: document frequencies of another set, as a training reward needs; by
                default those of `references`, as the COCO evaluation has it.
        """
        self.frequencies = frequencies or DocumentFrequencies.count(references.values())
        self._vectors = {
            picture: [NgramVectors.weigh(tokens, self.frequencies) for tokens in captions]
            for picture, captions in references.items()
        }

    def score(self, picture: Hashable, tokens: Sequence[str]) -> float:
        """Return the CIDEr-D (0-10) of one tokenized caption of `picture`.

        Raises:
            KeyError: the picture has no references.
        """
        references = self._vectors[picture]
        caption = NgramVectors.weigh(tokens, self.frequencies)
        return SCALE * sum(similarity(caption, each) for each in references) / len(references)
