"""`tfcap export`: write a run as a SavedModel."""

import argparse
from pathlib import Path

from tfcap.cli.options import add_ensemble, add_search, search_spec

HELP = "write the best epoch of a run as a SavedModel for TF Serving and other programs"
DESCRIPTION = """\
Write the best epoch of a run as BASE/<version>/, one version above the highest there. The
directory appears whole, by rename, so a TF Serving that watches BASE never sees half of it.

Signatures, all batched; every one also returns `error`, empty where the row is good:
  serving_default  image_bytes           -> caption, log_prob
  complete         image_bytes, prompt   -> caption that goes on from the prompt, log_prob
  score            image_bytes, caption  -> log_prob, perplexity

The standard export splits words with tensorflow-text, whose ops TF Serving has built in; a
Python program imports tensorflow_text before it loads the model. The portable one (--portable)
uses core ops only and loads in any TensorFlow runtime: C, C++, Java, Go."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--run", type=Path, required=True, metavar="DIR", help="trained run")
    add("--output", type=Path, required=True, metavar="BASE", help="directory of versions")
    add("--portable", action="store_true", help="core ops only, no tensorflow-text")
    add_ensemble(parser)
    add_search(parser)


def run(arguments: argparse.Namespace) -> int:
    from tfcap.export import export_run

    version = export_run(
        arguments.run,
        arguments.output,
        arguments.portable,
        search_spec(arguments),
        arguments.ensemble,
    )
    size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
    print(f"exported {version} ({size / 1e6:.1f} MB)")
    return 0
