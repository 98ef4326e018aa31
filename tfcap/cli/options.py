"""Options that several commands share."""

import argparse

ENCODER = "mobilenet_v3_small"


def add_encoder(parser: argparse.ArgumentParser, default: str | None = ENCODER) -> None:
    """Add `--encoder`. The names stand here too, so that no help has to load TensorFlow.

    Args:
        parser: to add it to.
        default: None where a command must know whether the flag was given.
    """
    parser.add_argument(
        "--encoder",
        default=default,
        metavar="NAME",
        help="mobilenet_v3_small, mobilenet_v3_small_stride16 (cut where its map is a sixteenth "
        "of the picture's side), mobilenet_v3_large or mobilenet_v3_large_minimalistic "
        f"(default: {ENCODER})",
    )
