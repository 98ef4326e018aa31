"""What every training peer reads: the pictures' features and their captions; and what it prints.

Needs the standard library and NumPy alone, so that peers in other environments can import it.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

WARM_UP = 3  # steps that do not count: tracing, threads, caches


class Captioned(NamedTuple):
    """The shared inputs.

    Attributes:
        features: float32 [N, h, w, C].
        captions: word ids of each caption of each picture, <start> and <end> among them.
        words: size of the vocabulary; 0 is <pad>.
        longest: words of the longest caption of the dataset, <start> and <end> among them.
    """

    features: np.ndarray
    captions: list[list[list[int]]]
    words: int
    longest: int


def parse_arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every peer has."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    add = parser.add_argument
    add("--features", type=Path, required=True, metavar="FILE.npy")
    add("--captions", type=Path, required=True, metavar="FILE.json")
    add("--seconds", type=float, default=10.0, help="of counted training (default: %(default)s)")
    add("--batch-size", type=int, default=32, help="see above (default: %(default)s)")
    return parser


def load(arguments: argparse.Namespace) -> Captioned:
    """Read the shared inputs."""
    content = json.loads(arguments.captions.read_text())
    return Captioned(np.load(arguments.features), **content)


class Stopwatch:
    """Counts the captions of the steps after the warm-up, and says when it is enough."""

    def __init__(self, seconds: float):
        self.limit = seconds
        self.steps, self.captions, self.start = -WARM_UP, 0.0, 0.0

    def step(self, captions: float) -> bool:
        """Note a step that has ended; returns whether to go on."""
        self.steps += 1
        if self.steps <= 0:
            self.start, self.cpu_start = time.perf_counter(), time.process_time()
            return True
        self.captions += captions
        self.elapsed = time.perf_counter() - self.start
        self.cpu = time.process_time() - self.cpu_start
        return self.elapsed < self.limit

    def report(self, **more) -> None:
        """Print the figures as JSON, on the last line."""
        figures = {
            "captions_per_second": self.captions / self.elapsed,
            "captions_per_cpu_second": self.captions / self.cpu,
            "steps": self.steps,
            "seconds": self.elapsed,
        }
        print(json.dumps(figures | more))


def run_steps(step: Callable[[], float], seconds: float) -> Stopwatch:
    """Take steps, each of which returns how many captions it trained on, for so long."""
    watch = Stopwatch(seconds)
    while watch.step(step()):
        pass
    return watch
