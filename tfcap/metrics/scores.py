"""All scores of a set of captions against prepared references."""

import dataclasses
import statistics
from collections.abc import Hashable, Mapping, Sequence

from records.captions import DEFAULT_CLEANING, CaptionSpec, clean_caption
from records.errors import UserError
from tfcap.metrics.meteor import Lexicon
from tfcap.metrics.per_picture import BLEU, CIDER_D, ROUGE_L, PictureStatistics, TokenReferences
from tfcap.metrics.ptb import ptb_tokenize


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of a captioned set.

    Attributes:
        bleu: BLEU-1..4 in points (0-100).
        rouge_l: mean ROUGE-L in points (0-100).
        cider: mean CIDEr-D (0-10).
        exact: share (0-1) of pictures whose cleaned caption equals a cleaned reference.
        count: pictures scored.
    """

    bleu: tuple[float, float, float, float]
    rouge_l: float
    cider: float
    exact: float
    count: int

    def to_dict(self) -> dict[str, float | int]:
        """Return the scores by the names that reports and result files use."""
        bleu = dict(zip(BLEU, self.bleu, strict=True))
        others = {"CIDEr": self.cider, "exact": self.exact, "images": self.count}
        return {**bleu, ROUGE_L: self.rouge_l, **others}


class References:
    """The references of a set, tokenized and counted once for any number of evaluations.

    Attributes:
        by_tokens: the same references, as the metrics see them.
    """

    def __init__(
        self, references: Mapping[Hashable, Sequence[str]], caption: CaptionSpec = DEFAULT_CLEANING
    ):
        """Prepare raw captions by picture.

        Args:
            references: the raw captions.
            caption: how captions are cleaned before `Scores.exact` compares them.

        Raises:
            UserError: no picture at all, or a picture without a reference.
        """
        if not references:
            raise UserError("there are no references to score against; give at least one picture")
        for picture, captions in references.items():
            if not captions:
                raise UserError(
                    f"picture {picture!r} has no reference caption; add one or leave it out"
                )
        self.by_tokens = TokenReferences(
            {
                picture: [ptb_tokenize(caption) for caption in captions]
                for picture, captions in references.items()
            }
        )
        self._caption = caption
        self._cleaned = {
            picture: frozenset(clean_caption(each, caption) for each in captions)
            for picture, captions in references.items()
        }

    def score(self, predictions: Mapping[Hashable, str]) -> Scores:
        """Score one caption for each picture of the set.

        Raises:
            UserError: a picture lacks its prediction, or a prediction its picture.
        """
        scores = self.statistics(predictions).scores()
        return Scores(
            bleu=tuple(scores[name] for name in BLEU),
            rouge_l=scores[ROUGE_L],
            cider=scores[CIDER_D],
            exact=self.exact(predictions),
            count=len(predictions),
        )

    def statistics(
        self, predictions: Mapping[Hashable, str], lexicon: Lexicon | None = None
    ) -> PictureStatistics:
        """Return what each picture adds to the scores, in the order of the references.

        Args:
            predictions: one caption for each picture of the set.
            lexicon: what METEOR matches words with; None leaves METEOR out.

        Raises:
            UserError: a picture lacks its prediction, or a prediction its picture.
        """
        return self.by_tokens.statistics(self._tokenize(predictions), lexicon)

    def exact(self, predictions: Mapping[Hashable, str]) -> float:
        """Return the share (0-1) of captions that, cleaned, equal a reference of their picture."""
        return statistics.fmean(
            clean_caption(caption, self._caption) in self._cleaned[picture]
            for picture, caption in predictions.items()
        )

    def cider_per_picture(self, predictions: Mapping[Hashable, str]) -> dict[Hashable, float]:
        """Return each picture's CIDEr-D (0-10).

        Raises:
            UserError: a picture lacks its prediction, or a prediction its picture.
        """
        return self.by_tokens.cider(self._tokenize(predictions))

    def _tokenize(self, predictions: Mapping[Hashable, str]) -> dict[Hashable, list[str]]:
        known = self.by_tokens.tokens
        missing = [picture for picture in known if picture not in predictions]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(known)} pictures have no prediction, for example "
                f"{missing[0]!r}; caption them too or score against fewer references"
            )
        unknown = [picture for picture in predictions if picture not in known]
        if unknown:
            raise UserError(
                f"{len(unknown)} predictions are for pictures without references, for example "
                f"{unknown[0]!r}; remove them or give their references"
            )
        return {picture: ptb_tokenize(caption) for picture, caption in predictions.items()}


def score_captions(
    references: Mapping[Hashable, Sequence[str]],
    predictions: Mapping[Hashable, str],
    caption: CaptionSpec = DEFAULT_CLEANING,
) -> Scores:
    """Score one raw caption for each picture against its raw references.

    Keep a `References` instead where the same references are scored against again.

    Args:
        references: the raw captions of each picture.
        predictions: the caption of each.
        caption: how captions are cleaned before `Scores.exact` compares them.

    Raises:
        UserError: no references, or pictures and predictions that do not correspond.
    """
    return References(references, caption).score(predictions)
