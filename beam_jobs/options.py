"""The options of `build_records`, and those it hands on to Beam."""

import argparse
from collections.abc import Sequence

from beam_jobs.runners import (
    DEFAULTED,
    OneLineParser,
    add_number,
    add_runner_options,
    check_positive,
    check_runner_options,
)
from beam_jobs.source_options import add_source_options
from records.captions import DIGITS, NORMALISATIONS, PUNCTUATIONS, CaptionSpec
from records.errors import UserError
from records.pictures import PictureSpec
from records.shards import is_plain_word

# About 10 MB a shard at 224 pixels: small enough to share out, large enough to read in one go.
PICTURES_PER_SHARD = 512

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


def parse_arguments(argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of this command, checked, and those meant for Beam.

    Raises:
        UserError: an option is missing, unknown or has a bad value.
    """
    arguments, for_beam = _parser().parse_known_args(argv)
    _check_arguments(arguments, for_beam)
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
    add("--name", default="flickr8k", help=f"name of the dataset {DEFAULTED}")


def _add_picture_options(parser: OneLineParser) -> None:
    add = parser.add_argument_group("picture policy").add_argument
    for flag, default, text in (
        ("--image-size", PictureSpec.size, "pixels of a stored picture's shorter side"),
        ("--quality", PictureSpec.quality, "of the stored JPEGs, 1 to 95"),
        ("--min-side", PictureSpec.min_side, "a picture with a shorter side is rejected"),
        ("--max-pixels", PictureSpec.max_pixels, "a picture of more pixels is rejected"),
    ):
        add_number(add, flag, default, f"{text} {DEFAULTED}")


def _add_caption_options(parser: OneLineParser) -> None:
    add = parser.add_argument_group("caption policy").add_argument
    for flag, choices, default, text in (
        ("--normalisation", NORMALISATIONS, CaptionSpec.normalisation, "letters that stay"),
        ("--punctuation", PUNCTUATIONS, CaptionSpec.punctuation, "marks as words, or not at all"),
        ("--digits", DIGITS, CaptionSpec.digits, "as they are, each as 0, or not at all"),
    ):
        add(flag, choices=choices, default=default, help=f"{text} {DEFAULTED}")
    add("--keep-case", action="store_true", help="do not lower-case captions")
    for flag, default, text in (
        ("--min-words", CaptionSpec.min_words, "a shorter caption is rejected"),
        ("--min-count", CaptionSpec.min_count, "a word rarer in the training split is unknown"),
    ):
        add_number(add, flag, default, f"{text} {DEFAULTED}")
    add_number(add, "--max-words", None, "a longer caption is rejected (default: no limit)")


def _add_run_options(parser: OneLineParser) -> None:
    group = parser.add_argument_group("how to run")
    add = group.add_argument
    add_number(add, "--shards-per-split", None, f"(default: one per {PICTURES_PER_SHARD} pictures)")
    add_runner_options(group)
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--overwrite", action="store_true", help="replace the dataset that --output holds"
    )
    either.add_argument(
        "--retry-failed",
        action="store_true",
        help="try the rejected pictures of --output's dataset again and keep its other records",
    )


def _check_arguments(arguments: argparse.Namespace, for_beam: list[str]) -> None:
    check_positive(arguments, "shards_per_split")
    check_runner_options(arguments, for_beam)
    if not is_plain_word(arguments.name):
        raise UserError(
            f"--name {arguments.name!r} must be lower-case letters, digits and underscores, "
            "a letter first"
        )
    picture_spec(arguments)
    caption_spec(arguments)
