"""`tfcap train`: train a captioner on a dataset, or go on with an interrupted run."""

import argparse
from pathlib import Path

from tfcap.cli.options import add_encoder

HELP = "train a captioner, or go on with an interrupted run"
DESCRIPTION = """\
Train a captioner: a frozen encoder, an LSTM with gated attention over its feature map, teacher
forcing over all captions of a picture at once. After each epoch the validation split is decoded
greedily, and the epoch with the best CIDEr-D is kept.

Stop it with Ctrl-C and run the same command again: it goes on where it was. The run directory
holds config.json, the weights, metrics.json, samples.json and logs for `tensorboard --logdir`.

Example:
  tfcap train --dataset data/flickr8k --run runs/large \\
    --encoder mobilenet_v3_large_minimalistic --encoder-weights imagenet"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--dataset", type=Path, required=True, metavar="DIR", help="records of build_records")
    add("--run", type=Path, required=True, metavar="DIR", help="run directory, made if needed")
    add_encoder(parser)
    add(
        "--encoder-weights",
        default="imagenet",
        metavar="WHICH",
        help="'imagenet' (Keras downloads them), 'none' (random) or the path of an .h5 file of "
        "Keras weights of the network without its top (default: %(default)s)",
    )
    recipe = parser.add_argument_group("recipe")
    add = recipe.add_argument
    add("--epochs", type=int, help="passes over the training split, at most (default: 13)")
    add("--batch-size", type=int, help="pictures a step, with all their captions (default: 32)")
    add("--learning-rate", type=float, help="peak, reached after half an epoch (default: 0.001)")
    add("--label-smoothing", type=float, help="share in [0, 1) (default: 0.1)")
    add("--weight-decay", type=float, help="of AdamW (default: 0.0001)")
    add("--patience", type=int, help="epochs without a better CIDEr to stop after (default: 5)")
    add("--no-flip", dest="flip", action="store_false", default=None, help="never mirror pictures")
    add("--seed", type=int, help="of weights, order, flips and dropout (default: 1)")
    model = parser.add_argument_group("decoder")
    add = model.add_argument
    add("--units", type=int, help="width of the LSTM and the attention (default: 512)")
    add("--embedding", type=int, help="width of the word vectors (default: 256)")
    add("--dropout", type=float, help="share of features and outputs dropped (default: 0.5)")
    add("--embedding-dropout", type=float, help="share of word vectors dropped (default: 0.3)")
    add("--max-words", type=int, help="longest caption (default: 20)")


def run(arguments: argparse.Namespace) -> int:
    from records.manifest import load_manifest

    manifest = load_manifest(arguments.dataset)
    config = _config(arguments, manifest)

    from tfcap.training import best_epoch, train

    try:
        history = train(config, manifest, arguments.run)
    except KeyboardInterrupt:
        print(f"\nstopped: the same command goes on from {arguments.run}")
        raise
    best = history[best_epoch(history)]
    print(
        f"best epoch {best['epoch']} of {len(history)}: validation CIDEr {best['val_CIDEr']:.3f}, "
        f"BLEU-4 {best['val_BLEU-4']:.1f}; run directory {arguments.run}"
    )
    return 0


def _config(arguments: argparse.Namespace, manifest):
    """Build the run's configuration from the flags that were given."""
    from records.errors import UserError
    from tfcap.config import LSTMAttentionSpec, ModelSpec, RunConfig, TrainingSpec

    def given(*names):
        values = {name: getattr(arguments, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    weights = arguments.encoder_weights
    if weights not in ("imagenet", "none"):
        weights = str(Path(weights).resolve())
    try:
        decoder = LSTMAttentionSpec(**given("units", "embedding", "dropout", "embedding_dropout"))
        model = ModelSpec(arguments.encoder, weights, decoder, **given("max_words"))
        training = TrainingSpec(
            **given(
                *("epochs", "batch_size", "learning_rate", "label_smoothing", "weight_decay"),
                *("patience", "flip", "seed"),
            )
        )
    except ValueError as error:
        raise UserError(str(error)) from None
    return RunConfig(
        dataset=str(arguments.dataset.resolve()),
        fingerprint=manifest.fingerprint,
        picture=manifest.picture,
        caption=manifest.caption,
        model=model,
        training=training,
    )
