"""Options that several commands share."""

import argparse
import dataclasses
from pathlib import Path

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
        "of the picture's side), mobilenet_v3_large, mobilenet_v3_large_minimalistic, "
        "efficientnet_v2_b0, inception_v3 (of pictures of 75 pixels a side and more), resnet50 or "
        f"vgg16 (default: {ENCODER})",
    )


def add_ensemble(parser: argparse.ArgumentParser) -> None:
    """Add `--ensemble`, beside a `--run`."""
    parser.add_argument(
        "--ensemble",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="other runs, of the same dataset and frozen encoder: all vote on every word",
    )


def add_search(parser: argparse.ArgumentParser) -> None:
    """Add what `search_spec` reads."""
    group = parser.add_argument_group("search")
    group.add_argument("--beams", type=int, default=1, help="of beam search (default: 1, greedy)")
    group.add_argument(
        "--length-penalty",
        type=float,
        default=0.0,
        metavar="ALPHA",
        help="favours longer captions among beams (default: 0.0)",
    )
    group.add_argument(
        "--no-repeat",
        type=int,
        default=0,
        metavar="N",
        help="say no N words twice in a row in a caption; 0 lets them (default: 0)",
    )


def search_name(how) -> str:
    """Return what a `SearchSpec` says other than its default, in one word."""
    default = type(how)()
    changed = {
        name: value for name, value in how.to_dict().items() if value != getattr(default, name)
    }
    return ",".join(f"{name}={value}" for name, value in changed.items()) or "greedy"


def search_spec(arguments: argparse.Namespace):
    """Return the search that the flags ask for.

    Raises:
        UserError: they make no sense.
    """
    from records.errors import UserError
    from tfcap.search import SearchSpec

    names = [field.name for field in dataclasses.fields(SearchSpec)]
    try:
        return SearchSpec(**{name: getattr(arguments, name) for name in names})
    except ValueError as error:
        raise UserError(str(error)) from None
