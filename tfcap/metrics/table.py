"""An evaluation as text for a terminal."""

from collections.abc import Mapping

from tfcap.metrics.bootstrap import Estimate
from tfcap.metrics.evaluation import Evaluation
from tfcap.metrics.per_picture import CIDER_D

_WIDTH = 30  # of the first column, wide enough for METEOR's whole name


def format_evaluation(evaluation: Evaluation) -> str:
    """Return a table of the scores, and under it what else was measured; a line each."""
    lines = [_row("pictures", str(len(evaluation.predictions)))]
    if evaluation.left_out:
        lines.append(_row("left out", str(evaluation.left_out)))
    human = evaluation.human.scores if evaluation.human else {}
    lines += ["", *_score_lines(evaluation.scores, human), "", *_other_lines(evaluation)]
    if evaluation.human:
        lines.append(_row("human", _human_words(evaluation)))
    lines.append(_row("signature", evaluation.signature))
    return "\n".join(lines)


def format_differences(differences: Mapping[str, Estimate]) -> str:
    """Return a table of how much more one set of captions scores than another."""
    lines = [_row("difference", f"{'value':>8}  95% interval, the same pictures resampled in both")]
    for name, each in differences.items():
        digits = _digits(name)
        interval = f"{each.low:+.{digits}f} to {each.high:+.{digits}f}"
        lines.append(_row(name, f"{each.value:>+8.{digits}f}  {interval}"))
    return "\n".join(lines)


def _score_lines(scores: Mapping[str, Estimate], human: Mapping[str, float]) -> list[str]:
    header = f"{'value':>8}  {'95% interval':<18}"
    lines = [_row("metric", header + ("   human" if human else ""))]
    for name, each in scores.items():
        digits = _digits(name)
        interval = f"{each.low:.{digits}f} to {each.high:.{digits}f}"
        row = f"{each.value:>8.{digits}f}  {interval:<18}"
        lines.append(_row(name, row + (f"{human[name]:>8.{digits}f}" if human else "")))
    return [line.rstrip() for line in lines]


def _other_lines(evaluation: Evaluation) -> list[str]:
    varied, alike = evaluation.diversity, evaluation.similarity
    rows = {
        "exact": _percent(evaluation.exact),
        "novel captions": _percent(varied.novel),
        "distinct-1": f"{varied.distinct_1:.4f}",
        "distinct-2": f"{varied.distinct_2:.4f}",
        "words said": str(varied.words),
        "of the vocabulary": _percent(varied.vocabulary_used),
        "words a caption": f"{varied.mean_words:.2f}",
        "similarity, best reference": alike and f"{alike.best:.4f}",
        "similarity, mean": alike and f"{alike.mean:.4f}",
    }
    return [_row(name, value) for name, value in rows.items() if value is not None]


def _human_words(evaluation: Evaluation) -> str:
    human = evaluation.human
    if not human.count:
        return "no picture has two references"
    left_out = f"; {human.left_out} pictures with a single one left out" if human.left_out else ""
    return f"each reference in turn against the others of its picture{left_out}"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.1%}"


def _digits(metric: str) -> int:
    return 4 if metric == CIDER_D else 2


def _row(name: str, value: str) -> str:
    return f"{name:<{_WIDTH}}{value}"
