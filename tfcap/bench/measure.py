"""What every benchmark shares: measurements in turn, medians with their spread, tables, JSON."""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from tqdm import tqdm

from records.errors import UserError

T = TypeVar("T")


class Figures(NamedTuple):
    """What a benchmark found.

    Attributes:
        metrics: the values of each round, by a name that holds the unit.
        setting: what was measured, for whoever reads the JSON.
        findings: what follows from the metrics, by name.
    """

    metrics: Mapping[str, Sequence[float]]
    setting: Mapping[str, object]
    findings: Mapping[str, object]


def timed(call: Callable[[], object]) -> Callable[[], float]:
    """Return a call that does the same and returns the seconds it took."""

    def measure() -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return measure


def paced(count: float, call: Callable[[], object]) -> Callable[[], float]:
    """Return a call that does the same, which is `count` things, and returns how many a second."""
    seconds = timed(call)
    return lambda: count / seconds()


def alternate(
    peers: Mapping[str, Callable[[], T]], rounds: int, uncounted: int = 0
) -> dict[str, list[T]]:
    """Measure peers in turn, round by round: whatever disturbs the machine disturbs them alike.

    Args:
        peers: calls that return what they measured, by name.
        rounds: measurements of each.
        uncounted: rounds before them that only warm up.

    Returns:
        the measurements of each peer, in the order of the rounds.
    """
    measured = {name: [] for name in peers}
    turns = list(itertools.product(range(uncounted + rounds), peers))
    for round_, name in tqdm(turns, desc="measurements", unit=" runs"):
        value = peers[name]()
        if round_ >= uncounted:
            measured[name].append(value)
    return measured


def summarise(values: Sequence[float]) -> dict[str, float | list[float]]:
    """Return the median, the 10th and 90th percentiles (never outside the values), and all."""
    deciles = statistics.quantiles(values, n=10, method="inclusive")
    return {
        "median": statistics.median(values),
        "p10": deciles[0],
        "p90": deciles[-1],
        "runs": list(values),
    }


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Return the quotient of two peers, round by round."""
    return [a / b for a, b in zip(over, under, strict=True)]


def report(
    metrics: Mapping[str, Sequence[float]],
    setting: Mapping,
    path: Path | None,
    findings: Mapping[str, object] | None = None,
) -> None:
    """Print the median and spread of each metric; write them as JSON if a path is given.

    Args:
        metrics: the values of each round, by a name that holds the unit.
        setting: what was measured, for whoever reads the JSON.
        path: of the JSON file.
        findings: what follows from the metrics, by name; printed below them.
    """
    findings = findings or {}
    summaries = {name: summarise(values) for name, values in metrics.items()}
    width = max(50, *map(len, summaries))
    for name, summary in summaries.items():
        median, low, high = (_short(summary[key]) for key in ("median", "p10", "p90"))
        print(f"{name:{width}}{median:>10} [{low}, {high}]")
    for name, finding in findings.items():
        print(f"{name}: {finding}")
    if path:
        content = {"setting": dict(setting), "metrics": summaries, **findings}
        path.write_text(json.dumps(content, indent=1) + "\n")


def _short(value: float) -> str:
    return f"{value:.2f}" if value == 0 or abs(value) >= 0.01 else f"{value:.1e}"


def add_arguments(parser: argparse.ArgumentParser, rounds: int) -> None:
    """Add the options that all benchmarks have."""
    parser.add_argument(
        "--rounds",
        type=_rounds,
        default=rounds,
        metavar="N",
        help="measurements of each, at least 2 (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")


def readable(read: Callable[[Path], object]) -> Callable[[str], Path]:
    """Return the type of an argument: a path that can be read, or the parser says what is wrong.

    Args:
        read: raises UserError where it cannot.
    """

    def path_of(text: str) -> Path:
        path = Path(text)
        try:
            read(path)
        except UserError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return path

    return path_of


def jpegs(directory: Path) -> list[Path]:
    """Return the JPEG files of a directory, by name.

    Raises:
        UserError: there are none.
    """
    if not (found := sorted(directory.glob("*.jpg"))):
        raise UserError(f"no *.jpg in {directory}: give a directory of pictures")
    return found


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        # There is no spread of one value.
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 2, got {text!r}")
    return int(text)
