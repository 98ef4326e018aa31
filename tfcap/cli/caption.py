"""`tfcap caption`: caption picture files with an export."""

import argparse
import sys
from pathlib import Path

HELP = "caption picture files with an export"
DESCRIPTION = """\
Print a line for each picture: its path, a tab, its caption. Pictures are made ready as the records
were: turned upright, made RGB, scaled down. What is no picture is named on standard error, and the
exit code is then 2.

Example:
  tfcap caption --model exports/large photos/*.jpg"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--model",
        type=Path,
        required=True,
        metavar="EXPORT",
        help="a version's directory, or the base directory, of which the highest version counts",
    )
    add("--batch-size", type=int, default=32, help="pictures at once (default: %(default)s)")
    add("pictures", type=Path, nargs="+", metavar="PICTURE", help="JPEG, PNG, GIF, BMP or WebP")


def run(arguments: argparse.Namespace) -> int:
    from records.errors import UserError

    if arguments.batch_size < 1:
        raise UserError(f"--batch-size must be at least 1, got {arguments.batch_size}")
    from tfcap.cli.pictures import ready_pictures
    from tfcap.evaluation import caption_bytes
    from tfcap.export import load_export

    export = load_export(arguments.model)
    files = [(str(path), path) for path in arguments.pictures]
    captioned = 0
    for found in caption_bytes(
        export.signatures["serving_default"],
        ready_pictures(files, export.picture),
        arguments.batch_size,
    ):
        if found.error:
            print(f"{found.key}: left out: {found.error}", file=sys.stderr)
        else:
            captioned += 1
            print(f"{found.key}\t{found.caption}", flush=True)
    return 0 if captioned == len(files) else 2
