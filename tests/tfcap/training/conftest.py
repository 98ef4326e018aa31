"""A dataset that is learned in no time, an encoder likewise, and a run of both."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from beam_jobs.build_records import main as build_records
from tfcap.encoders import ENCODERS

sys.path.insert(0, str(Path(__file__).parent))

import tiny

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 60, 220)}


@pytest.fixture(autouse=True)
def tiny_encoder(monkeypatch):
    """Have `--encoder tiny`."""
    monkeypatch.setitem(ENCODERS, tiny.NAME, tiny.build_tiny)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """Records of 18 one-colour pictures: 12 to train, 6 to validate."""
    source = tmp_path_factory.mktemp("source")
    (source / "Images").mkdir()
    rows, names = ["image,caption"], []
    for number in range(18):
        colour = list(COLOURS)[number % 3]
        names.append(f"{number:02}.jpg")
        Image.new("RGB", (64, 64), COLOURS[colour]).save(source / "Images" / names[-1])
        captions = [f"A {colour} square.", f"The square is {colour}", f"{colour}!"]
        rows += [f"{names[-1]},{caption}" for caption in captions]
    (source / "captions.txt").write_text("\n".join(rows) + "\n")
    (source / "Flickr_8k.trainImages.txt").write_text("\n".join(names[:12]))
    (source / "Flickr_8k.devImages.txt").write_text("\n".join(names[12:]))
    output = source / "dataset"
    flags = {"images": source / "Images", "captions": source / "captions.txt", "splits": source}
    given = [word for flag, value in flags.items() for word in (f"--{flag}", str(value))]
    sizes = ["--image-size", "64", "--min-count", "1", "--shards-per-split", "2"]
    assert build_records([*given, *sizes, "--output", str(output)]) == 0
    return output


@pytest.fixture(scope="session")
def run(dataset, tmp_path_factory) -> Path:
    """A run that went to its end undisturbed."""
    directory = tmp_path_factory.mktemp("run") / "whole"
    assert tiny.train(dataset, directory) == 0
    return directory
