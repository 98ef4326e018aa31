"""The options of `build_records`, and those it hands on to Beam."""

import argparse
import contextlib
import io
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from records.errors import UserError
from records.pictures import PictureSpec
from records.shards import is_plain_word

LOCAL_RUNNER = "FnApiRunner"
# About 10 MB a shard at 224 pixels: small enough to share out, large enough to read in one go.
PICTURES_PER_SHARD = 512
# Where a worker finds this package, wherever the command is run.
_ROOT = Path(__file__).resolve().parents[1]

_DESCRIPTION = """\
Turn captioned pictures into TFRecords that `tfcap train` reads.

Each picture is decoded, turned upright, made RGB and scaled down; each caption is cleaned. The
output directory then holds the shards (NAME-SPLIT.tfrecord-00000-of-00012), vocab.txt,
dead_letters.jsonl (every rejected picture and caption, with the reason) and manifest.json, which
is written last: where it is, the dataset is whole. The same input gives the same bytes, whatever
the runner and the number of workers."""

_EPILOG = """\
example:
  python -m beam_jobs.build_records --images flickr8k/Images --captions flickr8k/captions.txt \\
      --splits flickr8k --output records/flickr8k --workers 2

  Any option of Apache Beam may follow, for instance --runner DataflowRunner --project ... with
  gs:// paths.

exit codes: 0 done, 2 something given is wrong (one line says what), 130 interrupted."""


class OneLineParser(argparse.ArgumentParser):
    """A parser whose complaints are UserErrors: one line, no usage block."""

    def error(self, message):
        raise UserError(f"{message}; see --help")


def parse_arguments(argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of this command, checked, and those meant for Beam.

    Raises:
        UserError: an option is missing, unknown or has a bad value.
    """
    arguments, for_beam = _parser().parse_known_args(argv)
    _check_arguments(arguments)
    _check_beam_options(for_beam)
    return arguments, for_beam


def picture_spec(arguments: argparse.Namespace) -> PictureSpec:
    """Return the picture policy asked for; raises UserError where it is impossible."""
    try:
        return PictureSpec(size=arguments.image_size, quality=arguments.quality)
    except ValueError as error:
        raise UserError(f"--image-size or --quality: {error}") from None


def make_pipeline(arguments: argparse.Namespace, for_beam: list[str]) -> beam.Pipeline:
    """Return an empty pipeline on the runner asked for."""
    flags = [f"--runner={arguments.runner}", *for_beam]
    if arguments.workers == 1:
        return beam.Pipeline(options=PipelineOptions(flags))
    # Beam hands the command to a shell, which must not stand between it and the worker.
    command = (
        f"PYTHONPATH={shlex.quote(str(_ROOT))}${{PYTHONPATH:+:$PYTHONPATH}} "
        f"exec {shlex.quote(sys.executable)} -m beam_jobs.worker"
    )
    return beam.Pipeline(
        runner=FnApiRunner(SubprocessSDKEnvironment.from_command_string(command)),
        options=PipelineOptions([*flags, f"--direct_num_workers={arguments.workers}"]),
    )


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog="build_records",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--images", required=True, metavar="DIR", help="directory of the pictures")
    add("--captions", required=True, metavar="FILE", help="captions.txt or Flickr8k.token.txt")
    add("--splits", required=True, metavar="DIR", help="directory of Flickr_8k.*Images.txt")
    add("--output", required=True, metavar="DIR", help="directory to write the dataset to")
    add("--name", default="flickr8k", help="name of the dataset (default: %(default)s)")
    defaulted = "(default: %(default)s)"
    _add_number(
        parser,
        "--image-size",
        PictureSpec.size,
        f"pixels of a stored picture's shorter side {defaulted}",
    )
    _add_number(
        parser, "--quality", PictureSpec.quality, f"of the stored JPEGs, 1 to 95 {defaulted}"
    )
    _add_number(
        parser,
        "--min-count",
        5,
        f"a word less frequent in the training split is unknown {defaulted}",
    )
    _add_number(
        parser, "--shards-per-split", None, f"(default: one per {PICTURES_PER_SHARD} pictures)"
    )
    _add_number(parser, "--workers", 1, f"processes of the local runner {defaulted}")
    add("--overwrite", action="store_true", help="replace the dataset that --output holds")
    add(
        "--runner", default=LOCAL_RUNNER, help="Beam runner (default: %(default)s, on this machine)"
    )
    return parser


def _add_number(parser: OneLineParser, flag: str, default: int | None, text: str) -> None:
    parser.add_argument(flag, type=int, default=default, metavar="N", help=text)


def _check_arguments(arguments: argparse.Namespace) -> None:
    for flag in ("min_count", "shards_per_split", "workers"):
        value = getattr(arguments, flag)
        if value is not None and value < 1:
            raise UserError(f"--{flag.replace('_', '-')} must be at least 1, got {value}")
    if not is_plain_word(arguments.name):
        raise UserError(
            f"--name {arguments.name!r} must be lower-case letters, digits and underscores, "
            "a letter first"
        )
    if any(character in arguments.output for character in "*?["):
        # Beam's file systems would take it for a pattern, and there is no quoting it.
        raise UserError(f"--output {arguments.output} must not hold any of * ? [")
    if arguments.workers > 1 and arguments.runner != LOCAL_RUNNER:
        raise UserError(
            f"--workers is for the local runner: with --runner {arguments.runner} use Beam's own "
            "options, such as --num_workers"
        )
    picture_spec(arguments)


def _check_beam_options(for_beam: list[str]) -> None:
    """Refuse what Beam would silently discard: a misspelt option changes the dataset."""
    complaints = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaints):
            options = PipelineOptions(for_beam)
            given = options.get_all_options(drop_default=True, retain_unknown_options=True)
            known = options.get_all_options()
    except SystemExit:
        raise UserError(f"{complaints.getvalue().splitlines()[-1]}; see --help") from None
    for value in for_beam:
        name = value.partition("=")[0]
        option = name.lstrip("-").replace("-", "_")
        if (option in given and option not in known) or not for_beam[0].startswith("-"):
            raise UserError(f"unknown option {name}; see --help")
