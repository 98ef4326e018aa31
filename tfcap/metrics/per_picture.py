"""What each picture adds to the scores of a set: scored once, summed up in any number of ways."""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from tfcap.metrics.bleu import BleuReferences, bleu_of_totals, match_caption
from tfcap.metrics.cider import CiderReferences, DocumentFrequencies
from tfcap.metrics.meteor import Lexicon, meteor
from tfcap.metrics.rouge import rouge_l

BLEU = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4")
ROUGE_L = "ROUGE-L"
CIDER_D = "CIDEr-D"


@dataclasses.dataclass(frozen=True, eq=False)
class PictureStatistics:
    """The statistics of N captioned pictures.

    Attributes:
        pictures: the N keys.
        bleu: int64 [N, 10], `BleuMatches.counts` of each picture.
        means: the metrics that are means over pictures, by name: float64 [N] each.
    """

    pictures: tuple[Hashable, ...]
    bleu: np.ndarray
    means: Mapping[str, np.ndarray]

    def __len__(self):
        return len(self.pictures)

    def scores(self) -> dict[str, float]:
        """Return each metric over all pictures."""
        scores = self.resampled(np.ones((1, len(self))))
        return {name: values.item() for name, values in scores.items()}

    def resampled(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return each metric over R samples of the pictures.

        Args:
            weights: [R, N], how many times a sample has each picture.

        Returns:
            float64 [R] by the name of the metric.
        """
        bleu = bleu_of_totals(weights @ self.bleu)
        count = weights.sum(axis=1)
        means = {name: weights @ values / count for name, values in self.means.items()}
        return {**dict(zip(BLEU, bleu.T, strict=True)), **means}

    def by_picture(self, name: str) -> dict[Hashable, float]:
        """Return one of `means` by picture."""
        return dict(zip(self.pictures, self.means[name].tolist(), strict=True))


class TokenReferences:
    """Tokenized references, counted once for any number of evaluations."""

    def __init__(
        self,
        tokens: Mapping[Hashable, Sequence[Sequence[str]]],
        frequencies: DocumentFrequencies | None = None,
    ):
        """Count.

        Args:
            tokens: by picture, those of at least one reference.
            frequencies: for CIDEr-D; by default those of `tokens`, as the COCO evaluation has it.
        """
        self.tokens = tokens
        self._bleu = {picture: BleuReferences.prepare(each) for picture, each in tokens.items()}
        self._cider = CiderReferences(tokens, frequencies)

    @property
    def frequencies(self) -> DocumentFrequencies:
        """The document frequencies in use."""
        return self._cider.frequencies

    def cider(self, captions: Mapping[Hashable, Sequence[str]]) -> dict[Hashable, float]:
        """Return the CIDEr-D (0-10) of the tokens of one caption a picture."""
        return {picture: self._cider.score(picture, words) for picture, words in captions.items()}

    def statistics(
        self, captions: Mapping[Hashable, Sequence[str]], lexicon: Lexicon | None = None
    ) -> PictureStatistics:
        """Score captions.

        Args:
            captions: the tokens of one caption for each of the pictures.
            lexicon: what METEOR matches words with; None leaves METEOR out.

        Returns:
            The pictures in the order of the references, whatever that of the captions.
        """
        words = [captions[picture] for picture in self.tokens]
        pairs = list(zip(self.tokens.values(), words, strict=True))
        bleu = [
            match_caption(references, tokens).counts
            for references, tokens in zip(self._bleu.values(), words, strict=True)
        ]
        cider = self.cider({picture: captions[picture] for picture in self.tokens})
        means = {ROUGE_L: [rouge_l(references, tokens) for references, tokens in pairs]}
        if lexicon:
            means[lexicon.metric] = [meteor(*pair, lexicon) for pair in pairs]
        means[CIDER_D] = list(cider.values())
        arrays = {name: np.array(values) for name, values in means.items()}
        return PictureStatistics(tuple(self.tokens), np.array(bleu), arrays)
