"""From what was typed to paths that mean the same to every worker."""

import argparse
from pathlib import Path

from apache_beam.io.filesystems import FileSystems

from beam_jobs.files import is_local
from beam_jobs.source import FROM_SOURCE, Source, has_ratios
from records.errors import UserError
from records.sources import Columns
from records.splits import HashSplits


def resolve_path(path: str) -> str:
    """Return a path that means the same to every worker.

    Raises:
        UserError: a path of a file system whose library is not installed.
    """
    if is_local(path):
        return str(Path(path).absolute())
    try:
        FileSystems.get_filesystem(path)
    except ValueError:
        raise UserError(
            f'no library for {path} here: pip install "tfcap[gcp]", or use a local path'
        ) from None
    return path.rstrip("/")


def make_source(arguments: argparse.Namespace) -> Source:
    """Return where captions and splits come from, by the options of `add_source_options`.

    Raises:
        UserError: no such directory of splits, impossible ratios or columns.
    """
    splits = arguments.splits
    if has_ratios(splits):
        HashSplits.parse(splits)
    elif splits != FROM_SOURCE:
        splits = resolve_path(splits)
        if is_local(splits) and not Path(splits).is_dir():
            raise UserError(
                f"no directory {splits}: check --splits, which may also be {FROM_SOURCE!r} or "
                "ratios like train=0.9,val=0.1"
            )
    try:
        columns = Columns(
            image=arguments.image_column,
            caption=arguments.caption_column,
            split=arguments.split_column if splits == FROM_SOURCE else None,
        )
    except ValueError as error:
        raise UserError(f"--image-column, --caption-column, --split-column: {error}") from None
    return Source(resolve_path(arguments.captions), columns, splits)
