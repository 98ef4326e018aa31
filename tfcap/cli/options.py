"""Options that several commands share."""

import argparse


def add_encoder(parser: argparse.ArgumentParser) -> None:
    """Add `--encoder`. The names stand here too, so that no help has to load TensorFlow."""
    parser.add_argument(
        "--encoder",
        default="mobilenet_v3_small",
        metavar="NAME",
        help="mobilenet_v3_small, mobilenet_v3_small_stride16 (cut where its map is a sixteenth "
        "of the picture's side), mobilenet_v3_large or mobilenet_v3_large_minimalistic "
        "(default: %(default)s)",
    )
