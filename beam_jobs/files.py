"""Files of whatever file system Beam knows by the path: local, gs:// and others."""

import uuid
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

T = TypeVar("T")

# What opening a file raises where no file of that name can be read.
UNREADABLE = (FileNotFoundError, IsADirectoryError, PermissionError)

_AS_IS = {
    "mime_type": "application/octet-stream",
    "compression_type": CompressionTypes.UNCOMPRESSED,
}


def is_local(path: str) -> bool:
    """Tell whether a path is of this machine's file system."""
    return FileSystems.get_scheme(path) is None


def open_file(path: str) -> BinaryIO:
    """Open a file for reading, as it is; raises FileNotFoundError where there is none."""
    # Remote file systems have no common exception for an absent file, so it is asked for first.
    if not FileSystems.exists(path):
        raise FileNotFoundError(path)
    return FileSystems.open(path, **_AS_IS)


def read_if_present(path: str) -> bytes | None:
    """Return the bytes of a file; None where no file of that name can be read."""
    try:
        with open_file(path) as file:
            return file.read()
    except UNREADABLE:
        return None


def write_whole(path: str, attempts: str, write: Callable[[BinaryIO], T]) -> T:
    """Write a file under a unique name in another directory, then rename it.

    Bundles are retried and may run twice at once; each attempt has its own name, and the renamed
    file is whole.

    Args:
        path: of the file.
        attempts: directory on the same file system for files that are not whole yet.
        write: writes the content into an open file.

    Returns:
        whatever `write` returns.
    """
    _, base = FileSystems.split(path)
    attempt = FileSystems.join(attempts, f"{base}.{uuid.uuid4().hex}")
    with FileSystems.create(attempt, **_AS_IS) as file:
        result = write(file)
    FileSystems.rename([attempt], [path])
    return result


def list_files(directory: str) -> list[str]:
    """Return the paths of the files in a directory and its subdirectories."""
    matched = FileSystems.match([FileSystems.join(directory, "**")])
    return sorted(metadata.path for metadata in matched[0].metadata_list)


def delete_files(paths: list[str]) -> None:
    """Delete those of the files that are there."""
    if present := [path for path in paths if FileSystems.exists(path)]:
        FileSystems.delete(present)


def delete_directory(directory: str) -> None:
    """Delete a directory with all files in it, if it is there."""
    delete_files(list_files(directory))
    delete_files([directory])
