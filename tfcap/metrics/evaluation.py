"""Everything that is measured of a captioned set, together."""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence

from records.captions import DEFAULT_CLEANING, CaptionSpec, tokenize_caption
from records.errors import UserError
from tfcap.metrics.bootstrap import Estimate, estimate, estimate_difference
from tfcap.metrics.diversity import Diversity, Training, measure_diversity
from tfcap.metrics.human import Human, score_humans
from tfcap.metrics.meteor import Lexicon
from tfcap.metrics.per_picture import PictureStatistics
from tfcap.metrics.scores import References
from tfcap.metrics.signature import UNKNOWN, Origin, sign
from tfcap.metrics.similarity import Embed, Similarity, similarity


@dataclasses.dataclass(frozen=True)
class Measures:
    """What is to be measured.

    Attributes:
        lexicon: what METEOR matches words with.
        training: what the captioner was trained on; None where it is not known.
        embed: sentence embeddings; None leaves the similarity out.
        human: whether to score the references too.
    """

    lexicon: Lexicon
    training: Training | None = None
    embed: Embed | None = None
    human: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """All that is known of a captioned set: what a table, a JSON file or a report takes.

    Attributes:
        references: the raw captions of the pictures that were scored.
        predictions: one caption of each.
        statistics: what each picture adds to the scores; `by_picture` has the CIDEr-D of each.
        scores: each metric with its interval; BLEU, ROUGE-L and METEOR in points (0-100), CIDEr-D
            from 0 to 10.
        exact: share (0-1) of captions that, cleaned, equal a reference.
        diversity: how varied the captions are.
        similarity: None where it was not asked for.
        human: None where it was not asked for.
        left_out: pictures with references but without a caption.
        signature: how all this was made.
    """

    references: Mapping[Hashable, Sequence[str]]
    predictions: Mapping[Hashable, str]
    statistics: PictureStatistics
    scores: Mapping[str, Estimate]
    exact: float
    diversity: Diversity
    similarity: Similarity | None
    human: Human | None
    left_out: int
    signature: str

    def to_dict(self) -> dict:
        """Return everything but the references, ready for JSON."""
        whole = {
            "signature": self.signature,
            "pictures": len(self.predictions),
            "left_out": self.left_out,
            "exact": self.exact,
        }
        parts = ("diversity", "similarity", "human")
        specs = {part: getattr(self, part) for part in parts}
        whole |= {part: spec and dataclasses.asdict(spec) for part, spec in specs.items()}
        whole["scores"] = {name: dataclasses.asdict(each) for name, each in self.scores.items()}
        means = {name: self.statistics.by_picture(name) for name in self.statistics.means}
        whole["per_picture"] = {
            str(picture): {"caption": self.predictions[picture]}
            | {name: values[picture] for name, values in means.items()}
            for picture in self.statistics.pictures
        }
        return whole


def evaluate_captions(
    references: Mapping[Hashable, Sequence[str]],
    predictions: Mapping[Hashable, str],
    measures: Measures,
    caption: CaptionSpec = DEFAULT_CLEANING,
    origin: Origin = UNKNOWN,
) -> Evaluation:
    """Measure captions against the references of their pictures.

    Args:
        references: raw captions by picture. Pictures without a prediction are left out, of the
            document frequencies too.
        predictions: one raw caption of at least one picture.
        measures: what to measure.
        caption: how captions are cleaned, where their words are compared or counted.
        origin: of the captions, for the signature.

    Raises:
        UserError: a prediction for a picture without references, or no prediction at all.
    """
    # In one order whatever that of the files, so that resamples are of the same pictures.
    common = sorted(references.keys() & predictions.keys(), key=str)
    scored = {picture: references[picture] for picture in common}
    if not scored:
        example = next(iter(predictions), None)
        raise UserError(
            f"none of {len(predictions)} predictions ({example!r}...) is for one of "
            f"{len(references)} pictures with references: name the pictures alike"
        )
    prepared = References(scored, caption)
    statistics = prepared.statistics(predictions, measures.lexicon)
    scores = estimate(statistics)
    words = [tokenize_caption(each, caption) for each in predictions.values()]
    return Evaluation(
        references=scored,
        predictions=predictions,
        statistics=statistics,
        scores=scores,
        exact=prepared.exact(predictions),
        diversity=measure_diversity(words, measures.training),
        similarity=measures.embed and similarity(measures.embed, scored, predictions),
        human=score_humans(prepared.by_tokens, measures.lexicon) if measures.human else None,
        left_out=len(references) - len(scored),
        signature=sign(scored, ["BLEU", *statistics.means], origin),
    )


def compare_captions(
    evaluation: Evaluation, others: Mapping[Hashable, str], lexicon: Lexicon
) -> dict[str, Estimate]:
    """Return how much more the evaluated captions score than others of the same pictures.

    Args:
        evaluation: of the one set of captions.
        others: the other set.
        lexicon: that of the evaluation.

    Raises:
        UserError: the pictures are not the same.
    """
    theirs = References(evaluation.references).statistics(others, lexicon)
    return estimate_difference(evaluation.statistics, theirs)
