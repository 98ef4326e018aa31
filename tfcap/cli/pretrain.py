"""`tfcap pretrain`: train an encoder from random weights on a dataset's own captions."""

import argparse
from pathlib import Path

from tfcap.cli.options import add_encoder

HELP = "train an encoder from random weights, where there are no ImageNet weights"
DESCRIPTION = """\
Train an encoder on the training split to tell which words the captions of a picture hold. The
weights that come of it are for `tfcap train --encoder-weights FILE`. Where the ImageNet weights
can be had, they are better for photographs: this is for pictures of another kind, or for a
machine that cannot download them.

Example:
  tfcap pretrain --dataset data/scenes --output encoder.weights.h5"""
SUFFIX = ".weights.h5"  # Keras writes no other


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--dataset", type=Path, required=True, metavar="DIR", help="records of build_records")
    add("--output", type=Path, required=True, metavar="FILE", help=f"a new file, NAME{SUFFIX}")
    add_encoder(parser)
    add("--epochs", type=int, help="passes over the training split (default: 10)")
    add("--batch-size", type=int, help="pictures a step (default: 32)")
    add("--learning-rate", type=float, help="peak, reached after half an epoch (default: 0.002)")
    add("--seed", type=int, help="of weights, order and flips (default: 1)")


def run(arguments: argparse.Namespace) -> int:
    from records.errors import UserError
    from records.manifest import load_manifest

    output = arguments.output
    if not output.name.endswith(SUFFIX):
        raise UserError(f"--output {output} must end in {SUFFIX}: Keras writes no other weights")
    if output.exists():
        raise UserError(f"{output} exists already: name a new file")
    manifest = load_manifest(arguments.dataset)

    from tfcap.encoders import save_weights
    from tfcap.pretraining import PretrainingSpec, pretrain

    recipe = {
        name: getattr(arguments, name)
        for name in ("epochs", "batch_size", "learning_rate", "seed")
        if getattr(arguments, name) is not None
    }
    try:
        spec = PretrainingSpec(**recipe)
    except ValueError as error:
        raise UserError(str(error)) from None
    try:
        # Before the training, so that a bad path costs nobody an hour.
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {output.parent} ({error.strerror}): check --output") from None
    encoder = pretrain(arguments.encoder, arguments.dataset, manifest, spec)
    save_weights(encoder, output)
    print(f"encoder weights in {output}")
    return 0
