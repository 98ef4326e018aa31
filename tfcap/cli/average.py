"""`tfcap average`: the mean weights of several runs."""

import argparse
from pathlib import Path

HELP = "give one model the mean weights of several runs"
DESCRIPTION = """\
Write a run whose weights are the mean of those of others, which went on from one (`tfcap train
--from`), each in its own way: other seeds, rates or augmentation. It is as large and as fast as one
of them, and often better than each. `tfcap evaluate`, `tfcap export` and `tfcap train --from` take
it as any other run.

Example:
  tfcap average runs/one runs/other --run runs/mean
  tfcap evaluate --run runs/mean --dataset data/flickr8k --beams 3"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="RUN", help="runs of `tfcap train`, two or more")
    add("--run", type=Path, required=True, metavar="DIR", help="the new run directory")


def run(arguments: argparse.Namespace) -> int:
    from tfcap.averaging import average_runs

    average_runs(arguments.runs, arguments.run)
    print(f"the mean of {len(arguments.runs)} runs: {arguments.run}")
    return 0
