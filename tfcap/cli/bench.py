"""`tfcap bench`: how fast each stage is on this machine, which one limits, and what helps."""

import argparse
from pathlib import Path

from tfcap.bench.measure import add_arguments as add_measuring
from tfcap.cli.options import add_encoder

HELP = "measure every stage on this machine, and name the bottleneck"
DESCRIPTION = """\
Measure the stages from records to captions on this machine, in turn, and print the median and
[10th, 90th percentile] of each, the bottleneck, and the flag that helps against it.

  data      reading, parsing, decoding, resizing and encoding, each alone on all cores over
            records in memory; all of it end to end, over what its stages imply
  encoder   our inference encoder over the stock Keras model, and LiteRT where TensorFlow has it
  train     the whole training program by placement, its step alone, what it waits for data
  decode    greedy captions from features

The decoder's weights are drawn at random: no trained run is needed.

Example:
  tfcap bench data --dataset data/flickr8k --encoder mobilenet_v3_small"""
WHAT = ("data", "encoder", "train", "decode")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("what", choices=WHAT, metavar="|".join(WHAT), help="what to measure")
    add("--dataset", type=Path, required=True, metavar="DIR", help="records of build_records")
    add_encoder(parser)
    add(
        "--encoder-weights",
        default="none",
        metavar="WHICH",
        help="as of `tfcap train`; no rate depends on them (default: %(default)s)",
    )
    add("--batch-size", type=int, default=32, help="pictures in a batch (default: %(default)s)")
    add("--pictures", type=int, default=2048, help="at most so many (default: %(default)s)")
    add_measuring(parser, rounds=5)


def run(arguments: argparse.Namespace) -> int:
    from records.errors import UserError
    from tfcap.bench.measure import report

    for flag in ("batch_size", "pictures"):
        if getattr(arguments, flag) < 1:
            name = f"--{flag.replace('_', '-')}"
            raise UserError(f"{name} must be at least 1, got {getattr(arguments, flag)}")
    if arguments.json and not arguments.json.parent.is_dir():
        raise UserError(f"{arguments.json.parent} is no directory: name another --json file")

    from tfcap.bench.run import run_benchmark

    figures = run_benchmark(
        arguments.what,
        arguments.dataset,
        arguments.encoder,
        arguments.encoder_weights,
        batch_size=arguments.batch_size,
        pictures=arguments.pictures,
        rounds=arguments.rounds,
    )
    report(figures.metrics, figures.setting, arguments.json, figures.findings)
    return 0
