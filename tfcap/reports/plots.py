"""Plots as inline SVG: the same bytes each time, in the colours of the page around them."""

import io
import re
from collections.abc import Callable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
    StrMethodFormatter,
)

from tfcap.reports.survey import SplitSurvey

# Stand for colours of the page, light or dark, which matplotlib cannot name.
_INK = "#012345"
_COLOURS = ("#012301", "#012302", "#012303", "#012304")
_OF_PAGE = {_INK: "currentColor"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(_COLOURS)
}
# Tell the splits apart without colours.
_DASHES = ("-", "--", ":", "-.")
_STYLE = {
    "axes.edgecolor": _INK,
    "axes.grid": True,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "grid.alpha": 0.2,
    "grid.color": _INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "text.color": _INK,
    # Names of splits are data, not formulas.
    "text.parse_math": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_NUMBER = StrMethodFormatter("{x:,.0f}")
_INCHES = (4.2, 2.8)  # narrow enough to be readable at a phone's width
LONGEST_CAPTION = 60  # words; longer ones are drawn there, or they would squeeze all others
_BINS = 40
_POINTS = 200  # of a curve
_SIZES = 500  # marks of a split in the plot of sizes
_RATIOS = {
    "1:4": 1 / 4, "1:3": 1 / 3, "1:2": 1 / 2, "2:3": 2 / 3, "1:1": 1, "3:2": 3 / 2, "2:1": 2,
    "3:1": 3, "4:1": 4,
}  # fmt: skip


def plot_caption_lengths(survey: Mapping[str, SplitSurvey]) -> str:
    """Return a histogram: share of a split's captions by their number of words."""

    def draw(axes: Axes) -> None:
        lengths = {name: split.caption_words for name, split in survey.items()}
        _, longest = _range(lengths)
        edges = np.arange(-0.5, min(longest, LONGEST_CAPTION) + 1)
        _draw_histograms(axes, lengths, edges)
        axes.set_xlabel("words of a caption")
        axes.set_ylabel("captions of the split")

    return _plot("caption-lengths", draw)


def plot_rank_frequency(survey: Mapping[str, SplitSurvey]) -> str:
    """Return the occurrences of a word by its rank, both on logarithmic scales (Zipf's plot)."""

    def draw(axes: Axes) -> None:
        for number, split in enumerate(survey.values()):
            counts = sorted(split.word_counts.values(), reverse=True)
            ranks = _spread(len(counts))
            axes.plot(ranks, [counts[rank - 1] for rank in ranks], **_line(number))
        axes.set(xscale="log", yscale="log")
        axes.xaxis.set_major_formatter(_NUMBER)
        axes.yaxis.set_major_formatter(_NUMBER)
        axes.set_xlabel("rank of a word")
        axes.set_ylabel("occurrences of the word")
        _add_legend(axes, survey)

    return _plot("rank-frequency", draw)


def plot_coverage(curves: Mapping[str, Sequence[float]], size: int) -> str:
    """Return the share of a split's words that a vocabulary covers, by its size.

    Args:
        curves: of each split, the share that the first 1, 2, 3... words cover.
        size: words of the actual vocabulary.
    """

    def draw(axes: Axes) -> None:
        for number, curve in enumerate(curves.values()):
            sizes = _spread(len(curve))
            axes.plot(sizes, [curve[words - 1] for words in sizes], **_line(number))
        axes.axvline(size, color=_INK, linewidth=1)
        axes.set(xscale="log", ylim=(0, 1.02))
        axes.xaxis.set_major_formatter(_NUMBER)
        axes.set_xlabel("words of the vocabulary")
        axes.set_ylabel("words covered")
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        _add_legend(axes, curves, loc="upper left")

    return _plot("coverage", draw)


def plot_sizes(survey: Mapping[str, SplitSurvey]) -> str:
    """Return stored widths against heights; a mark's area grows with the number of pictures."""

    def draw(axes: Axes) -> None:
        for number, split in enumerate(survey.values()):
            ranked = sorted(split.sizes.items(), key=lambda item: (-item[1], item[0]))[:_SIZES]
            widths, heights = zip(*(size for size, _ in ranked), strict=True)
            areas = [12 + 150 * count / split.pictures for _, count in ranked]
            axes.scatter(widths, heights, areas, color=_colour(number), alpha=0.55, linewidths=0)
        axes.set_xlabel("width of the stored picture (pixels)")
        axes.set_ylabel("height (pixels)")
        _add_legend(axes, survey)

    return _plot("sizes", draw)


def plot_aspect_ratios(survey: Mapping[str, SplitSurvey]) -> str:
    """Return a histogram of width : height, on a logarithmic scale."""

    def draw(axes: Axes) -> None:
        ratios = {
            name: {width / height: 0 for width, height in split.sizes}
            for name, split in survey.items()
        }
        for name, split in survey.items():
            for (width, height), pictures in split.sizes.items():
                ratios[name][width / height] += pictures
        low, high = _range(ratios)
        edges = np.geomspace(min(low, 0.45), max(high, 2.2), _BINS + 1)
        _draw_histograms(axes, ratios, edges)
        axes.set(xscale="log")
        shown = {name: ratio for name, ratio in _RATIOS.items() if edges[0] < ratio < edges[-1]}
        axes.xaxis.set_major_locator(FixedLocator(list(shown.values())))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels(shown)
        axes.set_xlabel("width : height")
        axes.set_ylabel("pictures of the split")

    return _plot("aspect-ratios", draw)


def plot_jpeg_sizes(survey: Mapping[str, SplitSurvey]) -> str:
    """Return a histogram of the sizes of the stored JPEGs."""

    def draw(axes: Axes) -> None:
        sizes = {name: split.jpeg_kib for name, split in survey.items()}
        low, high = _range(sizes)
        edges = np.linspace(low - 1, high, min(high - low + 1, _BINS) + 1)
        _draw_histograms(axes, sizes, edges)
        axes.set_xlabel("stored JPEG (KiB)")
        axes.set_ylabel("pictures of the split")

    return _plot("jpeg-sizes", draw)


def plot_epochs(
    name: str, label: str, curves: Mapping[str, Sequence[float]], phases: Sequence[str], best: int
) -> str:
    """Return curves over the epochs of a training, with its phases and its best epoch.

    Args:
        name: of the plot, no other's in the page.
        label: of the upright axis.
        curves: a value of each epoch, by name.
        phases: of each epoch, what it is part of; a change is drawn as a dotted line.
        best: the epoch, from 1, whose weights were kept: an unbroken upright line.
    """

    def draw(axes: Axes) -> None:
        for number, values in enumerate(curves.values()):
            epochs = range(1, len(values) + 1)
            axes.plot(epochs, values, **_line(number), marker="o", markersize=3)
        axes.axvline(best, color=_INK, linewidth=1)
        starts = [at for at in range(1, len(phases)) if phases[at] != phases[at - 1]]
        for at in (0, *starts) if starts else ():
            if at:
                axes.axvline(at + 0.5, color=_INK, linewidth=1, linestyle=":")
            place = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points"}
            axes.annotate(phases[at], (at + 0.5, 1), (3, 3), **place, fontsize=8)
        axes.set_xlim(0.5, len(phases) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        if len(curves) > 1:
            _add_legend(axes, curves)

    return _plot(name, draw)


def _plot(name: str, draw: Callable[[Axes], None]) -> str:
    """Draw into fresh axes; `name` keeps the ids of two plots in one page apart."""
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(_INCHES, layout="constrained")
        draw(figure.add_subplot())
        file = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    svg = file.getvalue()
    # Without the XML preamble, and without the ids that nothing refers to: each plot has the same.
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg[svg.index("<svg") :])
    return re.sub("|".join(_OF_PAGE), lambda match: _OF_PAGE[match[0]], svg)


def _draw_histograms(
    axes: Axes, counts: Mapping[str, Mapping[float, int]], edges: np.ndarray
) -> None:
    """Draw the outline of each split's histogram, as shares of the split; all values are inside."""
    for number, of_split in enumerate(counts.values()):
        weights = np.fromiter(of_split.values(), float)
        values = np.fromiter(of_split, float).clip(edges[0], edges[-1])
        shares, _ = np.histogram(values, edges, weights=weights / weights.sum())
        axes.stairs(shares, edges, **_line(number))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    _add_legend(axes, counts)


def _add_legend(axes: Axes, names: Mapping[str, object], loc: str = "best") -> None:
    # Labels are given here: of an artist's own label, matplotlib hides one that begins with "_".
    marks = [*axes.patches, *axes.collections, *axes.lines]
    axes.legend(marks[: len(names)], list(names), loc=loc)


def _line(number: int) -> dict:
    dashes = _DASHES[number % len(_DASHES)]
    return {"color": _colour(number), "linestyle": dashes, "linewidth": 1.6}


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _range(counts: Mapping[str, Mapping[float, int]]) -> tuple[float, float]:
    values = [value for of_split in counts.values() for value in of_split]
    return min(values), max(values)


def _spread(last: int) -> list[int]:
    """Return some of the numbers 1 to `last`, as far apart on a logarithmic scale."""
    return np.unique(np.geomspace(1, last, _POINTS).round().astype(int)).tolist()
