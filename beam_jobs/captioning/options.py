"""The options of `caption_images`."""

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
from records.caption_rows import FORMATS, JSONL

PICTURES_PER_SHARD = 512
BATCH_SIZE = 32

_DESCRIPTION = """\
Caption many pictures with an export of `tfcap export`.

The output directory then holds rows in captions-00000-of-00012.jsonl (or .tfrecord): the path of a
picture, the SHA-256 of its bytes, its caption, the natural logarithm of the caption's probability
and, with --embeddings, the picture as numbers. dead_letters.jsonl names every picture that was
rejected, with the reason; manifest.json is written last: where it is, the captions are whole.
Pictures are made ready as the records were: turned upright, made RGB, scaled down. A run that was
stopped, by whatever, is gone on with by the same command.

Rows are sorted by path in shards that follow from the paths. On machines with the same processor
and libraries, the same input gives the same bytes on any runner and number of workers; elsewhere
the last digits of probabilities and embeddings differ.

Every worker loads the model once in each process and needs the extra: pip install 'tfcap[tf]'."""

_EPILOG = """\
examples:
  python -m beam_jobs.caption_images --model exports/large --images 'photos/**' \\
      --output captions/photos --workers 2
  python -m beam_jobs.caption_images --model exports/large --images 'photos/*.jpg' \\
      --output index/photos --embeddings --format tfrecord
  tfcap search --index index/photos "a dog in the snow"

  Any option of Apache Beam may follow, for instance --runner DataflowRunner --project ... with
  gs:// paths and --sdk_container_image, an image that holds the extra `tf`.

exit codes: 0 done, 2 something given is wrong (one line says what), 130 interrupted."""


def parse_arguments(argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of this command, checked, and those meant for Beam.

    Raises:
        UserError: an option is missing, unknown or has a bad value.
    """
    arguments, for_beam = _parser().parse_known_args(argv)
    check_positive(arguments, "batch_size", "shards")
    check_runner_options(arguments, for_beam)
    return arguments, for_beam


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog="caption_images",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument_group("what to caption, and where to").add_argument
    add(
        "--model",
        required=True,
        metavar="EXPORT",
        help="a version's directory, or the base directory, of which the highest version counts",
    )
    add(
        "--images",
        required=True,
        metavar="GLOB",
        help="pattern of the pictures' paths, in quotes; ** stands for directories too",
    )
    add("--output", required=True, metavar="DIR", help="directory to write the captions to")
    add("--format", choices=FORMATS, default=JSONL, help=f"of the rows {DEFAULTED}")
    add(
        "--embeddings",
        action="store_true",
        help="add the signature `embed` of each picture, for `tfcap search --like`",
    )
    group = parser.add_argument_group("how to run")
    add = group.add_argument
    add_number(add, "--batch-size", BATCH_SIZE, f"pictures in a call of the model {DEFAULTED}")
    add_number(add, "--shards", None, f"files (default: one per {PICTURES_PER_SHARD} pictures)")
    add_runner_options(group)
    add("--overwrite", action="store_true", help="replace the captions that --output holds")
    return parser
