"""`tfcap train`: train a captioner on a dataset, or go on with an interrupted run."""

import argparse
from pathlib import Path

from tfcap.cli.options import add_encoder
from tfcap.cli.training_config import load_config

HELP = "train a captioner, or go on with an interrupted run"
DESCRIPTION = """\
Train a captioner: an encoder and a decoder with attention over its feature map, teacher forcing
over all captions of a picture at once. After each epoch the validation split is decoded greedily,
and the epoch with the best CIDEr-D is kept.

Stop it with Ctrl-C, or kill it, and run the same command again: it goes on where it was, and every
number comes out as if nothing had happened. The run directory holds config.json, the weights,
metrics.json, samples.json and logs for `tensorboard --logdir`.

Examples:
  tfcap train --dataset data/flickr8k --run runs/large \\
    --encoder mobilenet_v3_large_minimalistic --encoder-weights imagenet
  tfcap train --config runs/large/config.json --run runs/repeated
  tfcap train --from runs/large --run runs/reinforced --objective self_critical \\
    --learning-rate 1e-4 --epochs 8"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--dataset", type=Path, metavar="DIR", help="records of build_records")
    add("--run", type=Path, required=True, metavar="DIR", help="run directory, made if needed")
    add("--config", type=Path, metavar="FILE", help="config.json of a run to repeat")
    add(
        "--from",
        dest="begin",
        type=Path,
        metavar="RUN",
        help="begin with the weights of another run's best epoch, and with its settings",
    )
    add(
        "--preset",
        metavar="NAME",
        help="a whole recipe, of which other flags change parts: mobilenet-rnn, resnet-glove-lstm, "
        "inception-glove-lstm, resnet-lstm-similarity, inception-attention-beam, "
        "tutorial-transformer or best",
    )
    add("--dry-run", action="store_true", help="build everything, make two steps, print a plan")
    add_encoder(parser, default=None)
    add(
        "--encoder-weights",
        metavar="WHICH",
        help="'imagenet' (Keras downloads them), 'none' (random) or the path of an .h5 file of "
        "Keras weights of the network without its top (default: imagenet)",
    )
    add(
        "--pooled",
        action="store_true",
        default=None,
        help="give the decoder the mean of the encoder's map instead of the map",
    )
    _add_recipe(parser.add_argument_group("recipe"))
    _add_augmentation(parser.add_argument_group("augmentation"))
    _add_decoder(parser.add_argument_group("decoder"))
    _add_execution(parser.add_argument_group("execution: may change when a run is taken up"))


def _add_recipe(group) -> None:
    add = group.add_argument
    add(
        "--objective",
        metavar="NAME",
        help="cross_entropy; distillation, from --teacher; or self_critical: the CIDEr-D of "
        "captions drawn from the model, which wants --from, and --learning-rate 0.0001 "
        "(default: cross_entropy)",
    )
    add(
        "--teacher",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="runs on the same dataset and frozen encoder that a distillation learns from",
    )
    add("--samples", type=int, help="captions drawn of each picture for it (default: 5)")
    add("--epochs", type=int, help="passes over the training split, at most (default: 13)")
    add("--batch-size", type=int, help="pictures a step, with all their captions (default: 32)")
    add("--learning-rate", type=float, help="peak, reached after the warm-up (default: 0.001)")
    add("--warmup-epochs", type=float, help="of a linear rise, may be a fraction (default: 0.5)")
    add(
        "--schedule",
        metavar="NAME",
        help="cosine, or plateau: constant until the validation "
        "CIDEr stops rising (default: cosine)",
    )
    add("--plateau-factor", type=float, help="what lowers the rate there (default: 0.5)")
    add("--plateau-patience", type=int, help="epochs that make a plateau (default: 2)")
    add("--label-smoothing", type=float, help="share in [0, 1) (default: 0.1)")
    add("--weight-decay", type=float, help="of AdamW (default: 0.0001)")
    add("--clip-norm", type=float, help="largest norm of the gradient (default: 5.0)")
    add(
        "--average",
        type=float,
        help="decay of a moving average of the weights, which is kept in "
        "their place; 0 is none (default: 0.0)",
    )
    add(
        "--precision",
        metavar="TYPE",
        help="of the layers: float32, bfloat16 or float16 (default: float32)",
    )
    add("--patience", type=int, help="epochs without a better CIDEr to stop after (default: 5)")
    add(
        "--fine-tune-epochs",
        type=int,
        help="last epochs, which train the encoder too, its batch "
        "normalization frozen (default: 0)",
    )
    add("--fine-tune-rate", type=float, help="learning rate of the encoder (default: 1e-05)")
    add(
        "--fine-tune-blocks",
        type=int,
        metavar="N",
        help="train only its last N blocks; 0 is all (default: 0)",
    )
    add(
        "--order-window",
        type=int,
        metavar="N",
        help="shuffle within windows of N records, for "
        "disks where random reads are dear; 0 shuffles all (default: 0)",
    )
    add("--seed", type=int, help="of weights, order, augmentation and dropout (default: 1)")


def _add_augmentation(group) -> None:
    add = group.add_argument
    add("--no-flip", dest="flip", action="store_false", default=None, help="never mirror pictures")
    add(
        "--crop",
        type=float,
        metavar="SHARE",
        help="largest share of the area that a random crop leaves out (default: 0.0)",
    )
    add(
        "--colour",
        type=float,
        metavar="STRENGTH",
        help="of random brightness, contrast and saturation (default: 0.0)",
    )
    add(
        "--views",
        type=int,
        metavar="N",
        help="draw only N crops and colours of each picture, and "
        "store their features; 0 draws new ones in every epoch (default: 0)",
    )


def _add_decoder(group) -> None:
    add = group.add_argument
    add(
        "--decoder",
        metavar="NAME",
        help="lstm_attention (default); rnn, merge (without attention, begun with the picture or "
        "blind to it); bahdanau, adaptive (additive attention, inside the recurrence or with a "
        "visual sentinel); transformer",
    )
    add("--cell", help="lstm, gru (rnn, bahdanau) or simple (rnn) (default: lstm)")
    add(
        "--units",
        type=int,
        help="width of the layers (default: 512); of merge and transformer 256",
    )
    add("--embedding", type=int, help="width of the word vectors (default: 256)")
    add("--attention", type=int, help="width of additive attention (default: 256)")
    add("--layers", type=int, help="of a transformer (default: 2)")
    add("--heads", type=int, help="of the attention (default: 4; transformer: 2)")
    add(
        "--no-gate",
        dest="gate",
        action="store_false",
        default=None,
        help="lstm_attention: let all that is seen count, whatever was said",
    )
    add(
        "--dropout",
        type=float,
        help="share of features and outputs dropped (default: 0.5; merge: 0.3)",
    )
    add("--embedding-dropout", type=float, help="share of word vectors dropped (default: 0.3)")
    add("--max-words", type=int, help="longest caption (default: 20)")
    add(
        "--glove",
        type=Path,
        metavar="FILE",
        help="GloVe word vectors to begin with, as wide as --embedding",
    )


def _add_execution(group) -> None:
    add = group.add_argument
    add(
        "--encoder-on",
        metavar="WHERE",
        help="pipeline (tf.data, on the CPU), device (in the "
        "step), cache (features are written once) or auto, which says why (default: auto)",
    )
    add("--feature-cache", type=Path, metavar="DIR", help="default: DATASET.features, beside it")
    add(
        "--devices",
        type=int,
        metavar="N",
        help="that share each batch; 0 is all GPUs, or the CPU (default: 0)",
    )
    add("--save-every", type=int, metavar="STEPS", help="between checkpoints (default: 100)")
    add(
        "--keep-epochs",
        action="store_true",
        default=None,
        help="keep the weights of every epoch, for `tfcap evaluate --epoch`",
    )
    add(
        "--skip-corrupt",
        action="store_true",
        default=None,
        help="step over damaged records, and count them",
    )
    add(
        "--data-service",
        metavar="HOST:PORT",
        help="have the processes of `tfcap serve-data` decode the pictures; '' is none",
    )


def run(arguments: argparse.Namespace) -> int:
    config, manifest = load_config(arguments)

    from tfcap.training import best_epoch, dry_run, train
    from tfcap.training.memory import keep_memory_flat

    if arguments.dry_run:
        print(dry_run(config, manifest, arguments.run))
        return 0
    keep_memory_flat()
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
