"""The entry of the `tfcap` command: parses, calls the subcommand, reports errors."""

import argparse
import os
import sys
from collections.abc import Sequence

from records.errors import UserError
from records.tfrecord import CorruptRecord
from tfcap.cli import (
    audit,
    average,
    bench,
    caption,
    compare,
    evaluate,
    export,
    inspect,
    pretrain,
    score,
    search,
    serve,
    serve_data,
    train,
    verify,
)

DESCRIPTION = """\
Image captioning as a production pipeline: records, training, evaluation, export.

From pictures to captions (`python -m beam_jobs.build_records` makes the records):

  tfcap inspect DATASET --html card.html         look at the records
  tfcap verify DATASET                           check the records, repair them
  tfcap audit DATASET                            find duplicates, leaks, poor captions
  tfcap pretrain --dataset DATASET --output FILE an encoder, without ImageNet weights
  tfcap train --dataset DATASET --run RUN        train a captioner
  tfcap evaluate --run RUN --dataset DATASET     BLEU and CIDEr-D on the validation split
  tfcap average RUN RUN --run MEAN               one model of the weights of several
  tfcap compare RUN RUN --dataset DATASET        several runs on one table
  tfcap score --references FILE --predictions FILE   the same of captions in a file
  tfcap export --run RUN --output BASE           write BASE/<version>/, a SavedModel
  tfcap caption --model BASE picture.jpg         caption pictures with it
  tfcap search --index DIR "a dog in the snow"   find pictures that `caption_images` captioned
  tfcap serve --model BASE                       answer REST and gRPC requests with it
  tfcap serve-data                               decode pictures for a training elsewhere
  tfcap bench data --dataset DATASET             how fast each stage is here, and which limits

`tfcap COMMAND --help` explains each command."""

# Each module has HELP (one line), DESCRIPTION, `add_arguments(parser)` and `run(arguments)`, and
# imports what is slow, TensorFlow above all, only in `run`.
COMMANDS = {
    "inspect": inspect,
    "verify": verify,
    "audit": audit,
    "pretrain": pretrain,
    "train": train,
    "evaluate": evaluate,
    "average": average,
    "compare": compare,
    "score": score,
    "export": export,
    "caption": caption,
    "search": search,
    "serve": serve,
    "serve-data": serve_data,
    "bench": bench,
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("tfcap", description=DESCRIPTION, formatter_class=raw)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name, help=module.HELP, description=module.DESCRIPTION, formatter_class=raw
        )
        module.add_arguments(command)
        command.set_defaults(function=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the `tfcap` command.

    Returns:
        The exit code: 0; 1 where a check found damage; 2 for what the user can mend; 130 after
        Ctrl-C.
    """
    arguments = build_parser().parse_args(argv)
    # TensorFlow's C++ log would drown the progress bars; a user's own setting wins.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        return arguments.function(arguments)
    except UserError as error:
        print(f"tfcap {arguments.command}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"tfcap {arguments.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output went away, as `head` does; give the flush at exit a sink.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except CorruptRecord as error:
        print(f"tfcap {arguments.command}: error: {error}: see `tfcap verify`", file=sys.stderr)
        return 2
    except OSError as error:  # a shard that went away, a full disk, a path that is a file
        print(f"tfcap {arguments.command}: error: {error}: check path and disk", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
