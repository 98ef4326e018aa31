"""What the benchmarks share: alternating measurements, medians with their spread, and a corpus."""

import argparse
import csv
import dataclasses
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image
from tqdm import tqdm

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]


def timed(call: Callable[[], object]) -> Callable[[], float]:
    """Return a call that does the same and returns the seconds it took."""

    def measure() -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return measure


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


def report(metrics: Mapping[str, Sequence[float]], setting: Mapping, path: Path | None) -> None:
    """Print the median and spread of each metric; write them as JSON if a path is given.

    Args:
        metrics: the values of each round, by a name that holds the unit.
        setting: what was measured, for whoever reads the JSON.
        path: of the JSON file.
    """
    summaries = {name: summarise(values) for name, values in metrics.items()}
    for name, summary in summaries.items():
        print(f"{name:50}{summary['median']:9.2f} [{summary['p10']:.2f}, {summary['p90']:.2f}]")
    if path:
        content = {"setting": dict(setting), "metrics": summaries}
        path.write_text(json.dumps(content, indent=1) + "\n")


def add_arguments(parser: argparse.ArgumentParser, rounds: int) -> None:
    """Add the options that all benchmarks have."""
    parser.add_argument(
        "--rounds",
        type=_rounds,
        default=rounds,
        metavar="N",
        help="at least 2 (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")


def _rounds(text: str) -> int:
    if int(text) < 2:
        raise ValueError(text)  # there is no spread of one value
    return int(text)


def run_quietly(command: Sequence[str | Path], **options) -> None:
    """Run a command; where it fails, leave with the end of what it said."""
    done = subprocess.run(command, text=True, capture_output=True, check=False, **options)
    if done.returncode:
        said = (done.stderr or done.stdout)[-2000:]
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{said}")


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A directory that `build_records` can read: Images/, captions.txt and a training split.

    Attributes:
        directory: of all of it.
        pictures: number of pictures.
    """

    directory: Path
    pictures: int

    @property
    def images(self) -> Path:
        """The directory of the pictures."""
        return self.directory / "Images"

    @property
    def captions(self) -> Path:
        """The captions file, in Kaggle's form."""
        return self.directory / "captions.txt"

    def build_command(self, output: Path, workers: int) -> list[str]:
        """Return the command line that builds its records."""
        command = f"{sys.executable} -m beam_jobs.build_records --overwrite".split()
        command += ["--images", str(self.images), "--captions", str(self.captions)]
        command += ["--splits", str(self.directory), "--output", str(output)]
        return [*command, "--workers", str(workers)]

    def build(self, output: Path, workers: int) -> float:
        """Build its records; returns the seconds of the whole process.

        The output directory is new to the job, and gone afterwards.
        """
        command = self.build_command(output, workers)
        seconds = timed(lambda: run_quietly(command, cwd=ROOT))()
        manifest = json.loads((output / "manifest.json").read_text())
        if manifest["dead_letters"]:
            sys.exit(f"the job has rejected pictures or captions: {manifest['dead_letters']}")
        shutil.rmtree(output)
        return seconds


def read_captions(path: Path) -> dict[str, list[str]]:
    """Return the captions of each picture of a file in Kaggle's form."""
    captions = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            captions[row["image"]].append(row["caption"])
    return captions


def larger_pictures(data: Path, shorter_side: int) -> list[Path]:
    """Return the captioned pictures of a data directory whose shorter side is longer than that."""
    captions = read_captions(data / "captions.txt")
    found = []
    for path in sorted((data / "Images").iterdir()):
        with Image.open(path) as picture:
            if min(picture.size) > shorter_side and path.name in captions:
                found.append(path)
    return found


def make_corpus(data: Path, sources: Sequence[Path], count: int, directory: Path) -> Corpus:
    """Lay out a corpus of any size: the sources in turn, linked under new names.

    Args:
        data: directory with the captions.txt of the sources.
        sources: picture files.
        count: pictures wanted.
        directory: to make.
    """
    captions = read_captions(data / "captions.txt")
    corpus = Corpus(directory, count)
    corpus.images.mkdir(parents=True)
    names = []
    with corpus.captions.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "caption"])
        for number, source in zip(range(count), itertools.cycle(sources), strict=False):
            names.append(f"{number:06d}_{source.name}")
            (corpus.images / names[-1]).symlink_to(source.resolve())
            rows.writerows((names[-1], caption) for caption in captions[source.name])
    (directory / "Flickr_8k.trainImages.txt").write_text("".join(f"{name}\n" for name in names))
    return corpus
