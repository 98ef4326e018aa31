"""A small captioned picture set, drawn anew for each test that wants one."""

import csv
import dataclasses
import io
from pathlib import Path

import pytest
from PIL import Image


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
