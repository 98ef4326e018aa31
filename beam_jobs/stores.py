"""Where pictures are read from: a directory or an archive, on any file system that Beam knows.

Archives are not unpacked: a table of their members is made once, and each picture is read at its
place. A remote archive is copied to this machine first, since remote files are fast only when they
are read from one end to the other.
"""

import contextlib
import errno
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_jobs.files import is_local, open_file
from records.dead_letters import Reason
from records.errors import UserError

# A larger file is not read: no picture that the policy takes needs as much.
MAX_BYTES = 128 * 2**20
# A table takes up to a kilobyte of memory for each member.
MAX_MEMBERS = 2_000_000

_COMPRESSED_TAR = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
_COPY_BYTES = 16 * 2**20
# A name that leads to no readable file; any other error of a disk is not the picture's.
_NO_FILE = {
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip
# What the parsers of archives raise on damaged ones.
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, struct.error,
    EOFError, NotImplementedError, OSError, OverflowError, ValueError,
)  # fmt: skip

# The same of every kind of store: the dead letters of a build do not tell where it read from.
_ABSENT = "no readable file of this name"

Member = TypeVar("Member")


class PictureUnreadable(Exception):
    """A picture that a store cannot hand out.

    Attributes:
        reason: MISSING, TOO_LARGE, DUPLICATE_KEY or UNDECODABLE.
        detail: the rest of it, in words.
    """

    def __init__(self, reason: Reason, detail: str):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class PictureStore(Protocol):
    """What pictures are read from; several threads may use it at once."""

    def read(self, key: str) -> bytes:
        """Return the bytes of a picture file.

        Args:
            key: its file name, without a directory.

        Raises:
            PictureUnreadable: there is no file of this name, or more than one, or it is larger
                than `MAX_BYTES`, or its archive does not give it out.
        """


def open_store(path: str) -> PictureStore:
    """Open a directory, zip file or tar file of pictures.

    Raises:
        UserError: it is none of these, does not exist or is damaged.
    """
    if is_local(path) and Path(path).is_dir():
        return _LocalDirectory(path)
    name = path.lower()
    if name.endswith(_COMPRESSED_TAR):
        raise UserError(
            f"--images {path}: a compressed tar file cannot be read at random: uncompress it first"
        )
    if name.endswith(".zip"):
        return _ZipStore(path)
    if name.endswith(".tar"):
        return _TarStore(path)
    if not is_local(path) and _has_files(path):
        return _RemoteDirectory(path)
    if FileSystems.exists(path):
        raise UserError(
            f"--images {path} is no picture store: give a directory, a .zip file or a .tar file"
        )
    raise UserError(f"no directory or archive {path}: check --images")


def read_picture(path: str) -> bytes:
    """Return the bytes of a picture file, wherever it lies; raises as `PictureStore.read`."""
    return _read_local(path) if is_local(path) else _read_remote(path)


class _LocalDirectory:
    def __init__(self, path: str):
        self._path = path

    def read(self, key: str) -> bytes:
        # Not a Path: each would leave the name in the interpreter's table of names, which grows.
        return _read_local(os.path.join(self._path, key))  # noqa: PTH118


class _RemoteDirectory:
    def __init__(self, path: str):
        self._path = path

    def read(self, key: str) -> bytes:
        return _read_remote(FileSystems.join(self._path, key))


def _read_local(path: str) -> bytes:
    """Read a file of this machine: without Beam, whose overhead a small picture would feel."""
    try:
        status = os.stat(path)  # noqa: PTH116
        # Reading a named pipe would wait for its other end for ever.
        if not stat.S_ISREG(status.st_mode):
            raise PictureUnreadable(Reason.MISSING, _ABSENT)
        _check_size(status.st_size)
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return file.read()
    except OSError as error:
        if error.errno in _NO_FILE:
            raise PictureUnreadable(Reason.MISSING, _ABSENT) from None
        raise


def _read_remote(path: str) -> bytes:
    try:
        with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            content = file.read(MAX_BYTES + 1)
    except Exception:
        # Remote file systems have no common exception for an absent file. To ask first would
        # be one request more for each picture that is there.
        if FileSystems.exists(path):
            raise
        raise PictureUnreadable(Reason.MISSING, _ABSENT) from None
    _check_size(len(content))
    return content


class _ZipStore:
    def __init__(self, path: str):
        file = _open_archive(path)
        weakref.finalize(self, file.close)
        with _damage_named(path):
            # Its reads lock the file, so that threads can share it.
            self._archive = zipfile.ZipFile(file)
        self._members = _table(_zip_members(self._archive), path)

    def read(self, key: str) -> bytes:
        info = _find(self._members, key)
        _check_size(info.file_size)
        if info.flag_bits & 1:
            raise PictureUnreadable(Reason.UNDECODABLE, "encrypted in the archive")
        # Python bounds what comes out of these two alone.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            detail = f"compressed by method {info.compress_type}, neither stored nor deflated"
            raise PictureUnreadable(Reason.UNDECODABLE, detail)
        try:
            with self._archive.open(info) as file:
                # Without a number, all of it would be inflated, whatever size is announced. What
                # goes on beyond that size fails the check of its CRC.
                return file.read(info.file_size)
        except _DAMAGE as error:
            detail = f"damaged in the archive: {_words(error)}"
            raise PictureUnreadable(Reason.UNDECODABLE, detail) from None


class _TarStore:
    def __init__(self, path: str):
        self._file = _open_archive(path)
        weakref.finalize(self, self._file.close)
        with _damage_named(path):
            self._members = _table(_tar_members(self._file), path)

    def read(self, key: str) -> bytes:
        offset, size = _find(self._members, key)
        _check_size(size)
        # Unlike seek and read, one step: threads can share the file.
        return os.pread(self._file.fileno(), size, offset)


def _has_files(path: str) -> bool:
    matched = FileSystems.match([FileSystems.join(path, "*")], limits=[1])
    return bool(matched[0].metadata_list)


def _open_archive(path: str) -> BinaryIO:
    """Open an archive, or a copy of it on this machine that vanishes when it is closed."""
    try:
        if is_local(path):
            return Path(path).open("rb")
        source = open_file(path)
    except OSError as error:
        reason = error.strerror or "no such file"
        raise UserError(f"cannot read {path} ({reason}): check --images") from None
    copy = tempfile.TemporaryFile()  # noqa: SIM115 (closed with its store)
    try:
        with source:
            shutil.copyfileobj(source, copy, _COPY_BYTES)
        copy.seek(0)
    except OSError as error:
        copy.close()
        if error.errno != errno.ENOSPC:
            raise
        raise UserError(
            f"no space for a copy of {path} in {tempfile.gettempdir()}: let TMPDIR name a larger "
            "directory, or unpack the archive"
        ) from None
    return copy


@contextlib.contextmanager
def _damage_named(path: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise UserError(f"{path} is damaged ({_words(error)}): make the archive again") from None


def _zip_members(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    for info in archive.infolist():
        is_link = stat.S_ISLNK(info.external_attr >> 16)
        if not info.is_dir() and not is_link:
            yield info.filename, info


def _tar_members(file: BinaryIO) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the name, and the offset and size in bytes, of each regular file."""
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while (info := archive.next()) is not None:
            # The list of a million members would take gigabytes.
            archive.members.clear()
            if archive.offset <= info.offset:
                raise tarfile.ReadError(f"the header at byte {info.offset} points back")
            if info.isreg() and not info.issparse():
                yield info.name, (info.offset_data, info.size)
        # A header that is none ends the list for `tarfile` as the zeros do that should end it.
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise tarfile.ReadError(f"no header at byte {archive.offset}")


def _table(members: Iterable[tuple[str, Member]], path: str) -> dict[str, Member | None]:
    """Return the members by base name; None where several have the same."""
    table: dict[str, Member | None] = {}
    for name, member in members:
        *directories, base = name.replace("\\", "/").split("/")
        # What macOS adds: resource forks and .DS_Store.
        if base.startswith(".") or "__MACOSX" in directories:
            continue
        table[base] = None if base in table else member
        if len(table) > MAX_MEMBERS:
            raise UserError(f"{path} holds more than {MAX_MEMBERS} files: unpack it")
    if not table:
        raise UserError(f"{path} holds no file: check --images")
    return table


def _find(table: dict[str, Member | None], key: str) -> Member:
    if key not in table:
        raise PictureUnreadable(Reason.MISSING, _ABSENT)
    member = table[key]
    if member is None:
        raise PictureUnreadable(Reason.DUPLICATE_KEY, "several files of this name in the archive")
    return member


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise PictureUnreadable(Reason.TOO_LARGE, f"more than {MAX_BYTES} bytes")


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
