"""The options of `build_records`, and those it hands on to Beam."""

import argparse
import contextlib
import io
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, worker_handlers
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from beam_jobs.job import Budget
from beam_jobs.source_options import add_source_options
from records.captions import DIGITS, NORMALISATIONS, PUNCTUATIONS, CaptionSpec
from records.errors import UserError
from records.pictures import PictureSpec
from records.shards import is_plain_word

LOCAL_RUNNER = "FnApiRunner"
# About 10 MB a shard at 224 pixels: small enough to share out, large enough to read in one go.
PICTURES_PER_SHARD = 512
_DEFAULTED = "(default: %(default)s)"
# Where a worker finds this package, wherever the command is run.
_ROOT = Path(__file__).resolve().parents[1]

_DESCRIPTION = """\
Turn captioned pictures into TFRecords that `tfcap train` reads.

Each picture is decoded, turned upright, made RGB and scaled down; each caption is cleaned. The
output directory then holds the shards (NAME-SPLIT.tfrecord-00000-of-00012) with their indexes,
vocab.txt, dead_letters.jsonl (every rejected picture and caption, with the reason) and
manifest.json, which is written last: where it is, the dataset is whole. The same input gives the
same bytes, whatever the runner and the number of workers. A run that was stopped, by whatever, is
gone on with by the same command."""

_EPILOG = """\
example:
  python -m beam_jobs.build_records --images flickr8k/Images --captions flickr8k/captions.txt \\
      --splits flickr8k --output records/flickr8k --workers 2
  python -m beam_jobs.build_records --images val2017.zip --captions captions_val2017.json \\
      --splits train=0.9,val=0.1 --name coco --output records/coco --max-bad 1%

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
        return PictureSpec(
            size=arguments.image_size,
            quality=arguments.quality,
            min_side=arguments.min_side,
            max_pixels=arguments.max_pixels,
        )
    except ValueError as error:
        raise UserError(f"picture policy (--image-size and others): {error}") from None


def caption_spec(arguments: argparse.Namespace) -> CaptionSpec:
    """Return the caption policy asked for; raises UserError where it is impossible."""
    try:
        return CaptionSpec(
            normalisation=arguments.normalisation,
            lowercase=not arguments.keep_case,
            punctuation=arguments.punctuation,
            digits=arguments.digits,
            min_words=arguments.min_words,
            max_words=arguments.max_words,
            min_count=arguments.min_count,
        )
    except ValueError as error:
        raise UserError(f"caption policy (--min-words and others): {error}") from None


def make_pipeline(arguments: argparse.Namespace, for_beam: list[str]) -> beam.Pipeline:
    """Return an empty pipeline on the runner asked for."""
    flags = [f"--runner={arguments.runner}", *for_beam]
    if arguments.workers == 1:
        return beam.Pipeline(options=PipelineOptions(flags))
    # By the clock, Beam sends from another thread what an encoder may have written half of: an
    # element that is cut in two is read as others, or for ever. By size, it sends whole elements.
    worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0
    return beam.Pipeline(
        runner=FnApiRunner(SubprocessSDKEnvironment.from_command_string(_worker_command())),
        options=PipelineOptions([*flags, f"--direct_num_workers={arguments.workers}"]),
    )


def is_template(pipeline: beam.Pipeline) -> bool:
    """Tell whether running the pipeline only writes down the job, as for a Flex Template."""
    options = pipeline.options.view_as(GoogleCloudOptions)
    return getattr(options, "template_location", None) is not None


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog="build_records",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_source_options(parser)
    _add_picture_options(parser)
    _add_caption_options(parser)
    _add_run_options(parser)
    return parser


def _add_source_options(parser: OneLineParser) -> None:
    group = parser.add_argument_group("what to build from, and where to")
    add_source_options(group, required=True)
    add = group.add_argument
    add("--output", required=True, metavar="DIR", help="directory to write the dataset to")
    add("--name", default="flickr8k", help=f"name of the dataset {_DEFAULTED}")


def _add_picture_options(parser: OneLineParser) -> None:
    add = parser.add_argument_group("picture policy").add_argument
    for flag, default, text in (
        ("--image-size", PictureSpec.size, "pixels of a stored picture's shorter side"),
        ("--quality", PictureSpec.quality, "of the stored JPEGs, 1 to 95"),
        ("--min-side", PictureSpec.min_side, "a picture with a shorter side is rejected"),
        ("--max-pixels", PictureSpec.max_pixels, "a picture of more pixels is rejected"),
    ):
        _add_number(add, flag, default, f"{text} {_DEFAULTED}")


def _add_caption_options(parser: OneLineParser) -> None:
    add = parser.add_argument_group("caption policy").add_argument
    for flag, choices, default, text in (
        ("--normalisation", NORMALISATIONS, CaptionSpec.normalisation, "letters that stay"),
        ("--punctuation", PUNCTUATIONS, CaptionSpec.punctuation, "marks as words, or not at all"),
        ("--digits", DIGITS, CaptionSpec.digits, "as they are, each as 0, or not at all"),
    ):
        add(flag, choices=choices, default=default, help=f"{text} {_DEFAULTED}")
    add("--keep-case", action="store_true", help="do not lower-case captions")
    for flag, default, text in (
        ("--min-words", CaptionSpec.min_words, "a shorter caption is rejected"),
        ("--min-count", CaptionSpec.min_count, "a word rarer in the training split is unknown"),
    ):
        _add_number(add, flag, default, f"{text} {_DEFAULTED}")
    _add_number(add, "--max-words", None, "a longer caption is rejected (default: no limit)")


def _add_run_options(parser: OneLineParser) -> None:
    group = parser.add_argument_group("how to run")
    add = group.add_argument
    _add_number(
        add, "--shards-per-split", None, f"(default: one per {PICTURES_PER_SHARD} pictures)"
    )
    _add_number(add, "--workers", 1, f"processes of the local runner {_DEFAULTED}")
    add(
        "--max-bad",
        type=_budget,
        metavar="N|P%",
        help="fail where more pictures, or a larger share of them, are rejected",
    )
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--overwrite", action="store_true", help="replace the dataset that --output holds"
    )
    either.add_argument(
        "--retry-failed",
        action="store_true",
        help="try the rejected pictures of --output's dataset again and keep its other records",
    )
    add(
        "--dry-run",
        "--dry_run",  # Beam's own spelling, which would run the job
        action="store_true",
        help="show the job, for Dataflow the size of its request too, and do nothing",
    )
    add(
        "--runner", default=LOCAL_RUNNER, help="Beam runner (default: %(default)s, on this machine)"
    )


def _budget(text: str) -> Budget:
    try:
        return Budget.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number of pictures nor a percentage like 1%"
        ) from None


def _add_number(add: Callable, flag: str, default: int | None, text: str) -> None:
    add(flag, type=int, default=default, metavar="N", help=text)


def _check_arguments(arguments: argparse.Namespace) -> None:
    for flag in ("shards_per_split", "workers"):
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
    caption_spec(arguments)


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


def _worker_command() -> str:
    """Return the command of a local worker process, for a shell."""
    variables = {
        # One arena of malloc for all threads: those of Beam's channels would each keep what they
        # freed.
        "MALLOC_ARENA_MAX": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.getenv("PYTHONPATH")])),
    }
    setting = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    # The shell must not stand between Beam and the worker.
    return f"{setting} exec {shlex.quote(sys.executable)} -m beam_jobs.worker"
