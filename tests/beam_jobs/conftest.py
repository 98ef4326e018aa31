"""A small captioned picture set, drawn anew for each test that wants one."""

import csv
import dataclasses
import io
from pathlib import Path

import pytest
from apache_beam.io.filesystem import FileMetadata, FileSystem
from PIL import Image


class MemoryFileSystem(FileSystem):
    """A file system without directories, as those of the clouds are: mem://."""

    files: dict[str, bytes] = {}  # noqa: RUF012

    @classmethod
    def scheme(cls):
        return "mem"

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path):
        head, _, tail = path.rpartition("/")
        return head, tail

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        for path, content in sorted(self.files.items()):
            if path.startswith(dir_or_prefix):
                yield FileMetadata(path, len(content))

    def open(self, path, mime_type=None, compression_type=None):
        if path not in self.files:
            raise LookupError(path)
        return io.BytesIO(self.files[path])

    def create(self, path, mime_type=None, compression_type=None):
        return _MemoryFile(self.files, path)

    def rename(self, source_file_names, destination_file_names):
        for source, destination in zip(source_file_names, destination_file_names, strict=True):
            self.files[destination] = self.files.pop(source)

    def delete(self, paths):
        for path in paths:
            del self.files[path]

    def exists(self, path):
        return path in self.files

    def _refuse(self, *_, **__):
        raise NotImplementedError

    mkdirs = copy = size = checksum = last_updated = metadata = _refuse


class _MemoryFile(io.BytesIO):
    def __init__(self, files, path):
        super().__init__()
        self.files, self.path = files, path

    def close(self):
        if not self.closed:
            self.files[self.path] = self.getvalue()
        super().close()


@pytest.fixture
def memory(monkeypatch):
    """The files of mem://, none at first."""
    monkeypatch.setattr(MemoryFileSystem, "files", {})
    return MemoryFileSystem.files


@dataclasses.dataclass
class Source:
    """The input of `build_records`, and where its output goes."""

    root: Path

    @property
    def images(self):
        return self.root / "Images"

    @property
    def output(self):
        return self.root / "dataset"

    @property
    def captions(self):
        return self.root / "captions.txt"

    def add(self, key, split=None, captions=("A dog runs .", "The red dog"), picture=None):
        if picture is not None:
            (self.images / key).write_bytes(picture)
        with self.captions.open("a", newline="") as file:
            csv.writer(file).writerows((key, caption) for caption in captions)
        if split is not None:
            with (self.root / f"Flickr_8k.{split}Images.txt").open("a") as file:
                file.write(f"{key}\n")

    def arguments(self, *more):
        return [
            f"--images={self.images}",
            f"--captions={self.captions}",
            f"--splits={self.root}",
            f"--output={self.output}",
            "--image-size=64",
            "--min-count=1",
            *more,
        ]


def draw_picture(colour, size=(90, 70), format_="JPEG"):
    """Return the bytes of a picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, format_)
    return buffer.getvalue()


@pytest.fixture
def draw():
    """The function that draws a picture of one colour."""
    return draw_picture


@pytest.fixture
def source(tmp_path):
    """An empty source; `add` pictures to it."""
    made = Source(tmp_path)
    made.images.mkdir()
    made.captions.write_text("image,caption\n")
    return made


@pytest.fixture
def small_source(source):
    """Twelve pictures for training and four for validation, all good."""
    for number in range(16):
        split = "train" if number % 4 else "dev"
        captions = (f"Picture {number} , a dog .", "A red cat's ball", "A dog")
        source.add(f"{number}.jpg", split, captions, draw_picture((number * 15, 80, 90)))
    return source
