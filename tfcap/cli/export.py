"""`tfcap export`: write a run as a SavedModel."""

import argparse
from pathlib import Path

from records.errors import UserError
from tfcap.cli.options import add_ensemble, add_search, search_spec

HELP = "write the best epoch of a run as a SavedModel for TF Serving and other programs"
DESCRIPTION = """\
Write the best epoch of a run as BASE/<version>/, one version above the highest there. The
directory appears whole, by rename, so a TF Serving that watches BASE never sees half of it.

Signatures, all batched; every one also returns `error`, empty where the row is good:
  serving_default  image_bytes           -> caption, log_prob
  complete         image_bytes, prompt   -> caption that goes on from the prompt, log_prob
  score            image_bytes, caption  -> log_prob, perplexity
  beam             image_bytes           -> captions, log_probs: the best, best first
  embed            image_bytes           -> embedding: the mean over the encoder's map
  explain          image_bytes           -> caption, tokens, log_probs, attention

The standard export splits words with tensorflow-text, whose ops TF Serving has built in; a
Python program imports tensorflow_text before it loads the model. The portable one (--portable)
uses core ops only and loads in any TensorFlow runtime: C, C++, Java, Go."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--run", type=Path, required=True, metavar="DIR", help="trained run")
    add("--output", type=Path, required=True, metavar="BASE", help="directory of versions")
    add("--portable", action="store_true", help="core ops only, no tensorflow-text")
    add(
        "--litert",
        action="store_true",
        help="for phones: two functions in float32, float16 and int8, see serving/loaders/litert",
    )
    add(
        "--warm-up",
        type=_size,
        nargs="*",
        metavar="SIZE",
        help="sizes of batches that TF Serving is to try before it serves the version "
        "(default: 1 2 4 8 16 32)",
    )
    add_ensemble(parser)
    add_search(parser)


def _size(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 1024):
        raise argparse.ArgumentTypeError(f"{text!r} is not in 1..1024")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    from tfcap.export import export_litert, export_run
    from tfcap.search import GREEDY
    from tfcap.warm_up import BATCH_SIZES

    how = search_spec(arguments)
    common = (arguments.run, arguments.output)
    if arguments.litert:
        if how != GREEDY or arguments.portable or arguments.warm_up is not None:
            raise UserError(
                "--litert exports a step, which its caller searches with: leave out --portable, "
                "--warm-up, --beams, --length-penalty and --no-repeat"
            )
        version = export_litert(*common, arguments.ensemble)
    else:
        sizes = BATCH_SIZES if arguments.warm_up is None else arguments.warm_up
        version = export_run(*common, arguments.portable, how, arguments.ensemble, sizes)
    size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
    print(f"exported {version} ({size / 1e6:.1f} MB)")
    return 0
