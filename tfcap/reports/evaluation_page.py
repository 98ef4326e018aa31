"""The evaluation report: one page of HTML that shows what a captioner says, and how well."""

import dataclasses
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from PIL import Image

from records.captions import CaptionSpec, tokenize_caption
from records.pictures import PictureSpec
from records.vocabulary import Vocabulary
from tfcap.reports import page, plots
from tfcap.reports.attention import Look, lit
from tfcap.reports.breakdown import (
    by_length,
    by_rarest_word,
    choose_pictures,
    picture_scores,
    score_references,
)
from tfcap.reports.confusion import ABSENT, CATEGORIES, Confusion, count_confusions
from tfcap.reports.thumbnails import Thumbnail, data_uri, make_thumbnail

PICTURES = 6  # of each kind: best, worst, random
CAPTIONS = 10  # real captions of a picture
MISTAKES = 5  # that are named, of each category
PANEL = 128  # pixels of the longer side of a word's picture
FLAT = 1.5  # a map that is nowhere this many times its mean points nowhere

_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")
# Curves over the epochs: name in the page, label, and the figures of `metrics.json` by their name.
_CURVES = {
    "loss": ("nats a word", {"loss": "training", "val_loss": "validation"}),
    "cider": ("CIDEr-D", {"val_CIDEr": "validation"}),
    "bleu": ("BLEU-4", {"val_BLEU-4": "validation"}),
}


class Metric(NamedTuple):
    """One line of the table of scores.

    Attributes:
        name: of the metric.
        value: in the metric's own unit.
        interval: the bounds of its 95% interval; None where there is none.
    """

    name: str
    value: float
    interval: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class TrainingCourse:
    """How the evaluated weights came about.

    Attributes:
        history: the figures of each epoch, as in `metrics.json`; not empty.
        phases: the name of what each epoch was part of.
        best: the epoch, from 1, whose weights were kept.
    """

    history: Sequence[Mapping[str, float]]
    phases: Sequence[str]
    best: int


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What was evaluated, and what came of it.

    Attributes:
        facts: what was evaluated on what, by name; one at least.
        metrics: the scores.
        references: the raw captions of each picture, one at least.
        captions: what was generated, for some of these pictures, one at least.
        picture: the limits of pictures that are decoded.
        cleaning: what makes words of captions.
        vocabulary: of the training split, frequent words first; None where it is not known.
        training: None where it is not known.
    """

    facts: Mapping[str, str]
    metrics: Sequence[Metric]
    references: Mapping[str, Sequence[str]]
    captions: Mapping[str, str]
    picture: PictureSpec
    cleaning: CaptionSpec
    vocabulary: Vocabulary | None = None
    training: TrainingCourse | None = None


class Attention(NamedTuple):
    """What the decoder looked at.

    Attributes:
        looks: for each word of the caption of some pictures.
        missing: why there is nothing of it, in words; "" where there is.
    """

    looks: Mapping[str, Sequence[Look]]
    missing: str = ""


class Panel(NamedTuple):
    """A word of a caption: its picture, lit where the decoder looked, and that in words."""

    word: str
    picture: Thumbnail
    place: str


class Shown(NamedTuple):
    """A picture in the page; without a thumbnail where the bytes are no picture."""

    key: str
    cider: float
    caption: str
    references: Sequence[str]
    thumbnail: Thumbnail | None
    panels: Sequence[Panel]


def make_evaluation_page(
    evaluation: Evaluation,
    read: Callable[[Sequence[str]], Mapping[str, bytes]],
    look: Callable[[Mapping[str, bytes]], Attention],
) -> str:
    """Choose the pictures to show, and render the report.

    Args:
        evaluation: what is reported.
        read: gives JPEGs of pictures by their keys.
        look: tells what the decoder looked at in such JPEGs.

    Returns:
        a whole HTML page; of the same evaluation always the same.
    """
    scores = score_references(evaluation.references, evaluation.captions, evaluation.cleaning)
    ciders = picture_scores(scores)
    chosen = choose_pictures(ciders, PICTURES)
    pictures = read([key for keys in chosen for key in keys])
    attention = look(pictures)
    shown = {
        kind: [
            _show(evaluation, key, ciders[key], pictures.get(key, b""), attention.looks)
            for key in keys
        ]
        for kind, keys in chosen._asdict().items()
    }
    of_references = [score for of_picture in scores.values() for score in of_picture]
    breakdown = [("Mean CIDEr-D by the length of the reference", "Words", by_length(of_references))]
    if evaluation.vocabulary:
        buckets = by_rarest_word(of_references, evaluation.vocabulary)
        breakdown.append(("Mean CIDEr-D by the rank of its rarest word", "Rank", buckets))
    return page.render(
        "evaluation_page.html",
        evaluation=evaluation,
        shown=shown,
        attention=attention,
        figures=_figures(evaluation.training),
        breakdown=breakdown,
        highest=max(bucket.cider for *_, buckets in breakdown for bucket in buckets) or 1,
        confusions=_confusions(evaluation),
        ABSENT=ABSENT,
        CAPTIONS=CAPTIONS,
        MISTAKES=MISTAKES,
        figure_text=figure_text,
    )


def figure_text(value: float) -> str:
    """Return a score as it is printed: 4 digits or so, whole numbers as they are."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.2f}"


def place_of(weights: np.ndarray) -> str:
    """Tell in words where a map [h, w] has its largest weight, for those who cannot see it."""
    if weights.max() < FLAT * weights.mean():
        return "nowhere in particular"
    at = np.unravel_index(weights.argmax(), weights.shape)
    row, column = (
        int((index + 0.5) / size * 3) for index, size in zip(at, weights.shape, strict=True)
    )
    if (row, column) == (1, 1):
        return "centre"
    return f"{_ROWS[row]} {_COLUMNS[column]}"


def _show(
    evaluation: Evaluation,
    key: str,
    cider: float,
    encoded: bytes,
    looks: Mapping[str, Sequence[Look]],
) -> Shown:
    thumbnail = make_thumbnail(encoded, evaluation.picture)
    panels = _panels(encoded, looks.get(key, ())) if thumbnail else []
    caption, references = evaluation.captions[key], evaluation.references[key]
    return Shown(key, cider, caption, references, thumbnail, panels)


def _panels(encoded: bytes, looks: Iterable[Look]) -> list[Panel]:
    """Draw a picture once for each word."""
    picture = Image.open(io.BytesIO(encoded)).convert("RGB")
    picture.thumbnail((PANEL, PANEL))
    panels = []
    for look in looks:
        file = io.BytesIO()
        lit(picture, look.weights).save(file, "JPEG", quality=80)
        drawn = Thumbnail(data_uri(file.getvalue(), "image/jpeg"), *picture.size)
        panels.append(Panel(look.word, drawn, place_of(look.weights)))
    return panels


def _figures(training: TrainingCourse | None) -> dict[str, Markup]:
    """Draw the curves of which there are figures; SVG by name."""
    if training is None:
        return {}
    figures = {}
    for name, (label, fields) in _CURVES.items():
        curves = {
            title: [figures[field] for figures in training.history]
            for field, title in fields.items()
            if all(field in figures for figures in training.history)
        }
        if curves:
            svg = plots.plot_epochs(f"epochs-{name}", label, curves, training.phases, training.best)
            figures[name] = Markup(svg)
    return figures


def _confusions(evaluation: Evaluation) -> list[Confusion]:
    def words(raw: str) -> list[str]:
        return tokenize_caption(raw, evaluation.cleaning)

    pictures = [
        ([words(raw) for raw in evaluation.references[key]], words(caption))
        for key, caption in evaluation.captions.items()
    ]
    return [count_confusions(category, pictures) for category in CATEGORIES]
