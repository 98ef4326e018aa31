"""Pictures to caption, and the command that does it."""

import io

import pytest
from PIL import Image, ImageStat
from tiny_export import write_tiny_export

from beam_jobs.captioning import handler
from beam_jobs.captioning.exports import Described

REDS, BLUES = range(150, 250, 20), range(120, 200, 20)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The base directory of an export that names the main colour."""
    base = tmp_path_factory.mktemp("exports")
    write_tiny_export(base / "2")
    return base


@pytest.fixture
def photos(tmp_path, draw):
    """Five red and four blue pictures in two directories, a black one and one that is none."""
    (tmp_path / "photos" / "old").mkdir(parents=True)
    for red in REDS:
        (tmp_path / "photos" / f"red {red}.jpg").write_bytes(draw((red, 9, 0)))
    for blue in BLUES:
        picture = draw((0, 8, blue), format_="PNG")
        (tmp_path / "photos" / "old" / f"bläu-{blue}.png").write_bytes(picture)
    (tmp_path / "photos" / "black.jpg").write_bytes(draw("black"))
    (tmp_path / "photos" / "notes.jpg").write_text("no picture")
    return tmp_path / "photos"


@pytest.fixture
def arguments(photos, model, tmp_path):
    """The command with more options; two shards, batches of two."""

    def made(*more):
        return [
            f"--model={model}",
            f"--images={photos}/**",
            f"--output={tmp_path / 'out'}",
            "--shards=2",
            "--batch-size=2",
            *more,
        ]

    return made


class PlainModel:
    """Says of a picture what the export says, without TensorFlow: for tests of all the rest."""

    def __init__(self, export, embeddings):
        pass

    def describe(self, pictures):
        said = []
        for encoded in pictures:
            colour = ImageStat.Stat(Image.open(io.BytesIO(encoded))).mean
            name = ("red", "green", "blue")[colour.index(max(colour))]
            error = "" if max(colour) > 25 else "image_bytes are black"
            said.append(Described(f"a {name} picture", max(colour) / 255 - 1, None, error))
        return said


@pytest.fixture
def plain_model(monkeypatch):
    """The class of the model that the job now loads."""
    monkeypatch.setattr(handler, "CaptionModel", PlainModel)
    return PlainModel
