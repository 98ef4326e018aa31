"""Drawn scenes: captions that are right by construction, splits that share no scene."""

import csv
import io
import itertools
import math
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from records.captions import tokenize_caption
from records.errors import UserError
from tfcap import scenes
from tfcap.scenes import Scene, Thing

SCENES = scenes.all_scenes()
any_scene = st.sampled_from(SCENES)
any_rng = st.integers(0, 2**32).map(random.Random)

BALL_AND_BOX = Scene(Thing("red", "ball"), Thing("blue", "box"), "above", "in the snow")


def test_captions_read_as_written_here():
    assert scenes.captions_of(BALL_AND_BOX) == (
        "A red ball is above a blue box in the snow.",
        "In the snow, a blue box is below a red ball.",
        "There is a red ball above a blue box in the snow.",
        "The picture shows a blue box below a red ball in the snow.",
        "Two things in the snow: a red ball above a blue box.",
    )


def test_no_caption_is_true_of_two_scenes():
    # Compared as they are after cleaning, which is how a prediction is compared.
    captions = [
        " ".join(tokenize_caption(caption)) for s in SCENES for caption in scenes.captions_of(s)
    ]
    assert len(set(captions)) == len(captions) == 5 * len(SCENES)


@given(any_scene, any_rng)
def test_things_lie_as_the_caption_says(scene, rng):
    first, second = scenes.place_things(scene, rng)
    right, down = second.x - first.x, second.y - first.y
    along, across = (right, down) if scene.relation == "left of" else (down, right)
    assert along > 2 * abs(across)
    reach = 1 + scenes.OUTLINE
    assert math.hypot(right, down) > reach * (first.radius + second.radius)
    for placement in (first, second):
        margin = reach * placement.radius
        assert margin <= placement.x <= 1 - margin
        assert margin <= placement.y <= 1 - margin


@pytest.mark.parametrize("shape", scenes.SHAPES)
def test_shapes_fill_the_unit_circle(shape):
    radii = [math.hypot(x, y) for x, y in scenes.SHAPES[shape]]
    assert 0.8 < max(radii) <= 1 + 1e-9


@settings(max_examples=20, deadline=None)
@given(any_scene, st.integers(0, 2**32), st.sampled_from([64, 97, 224]))
def test_pictures_follow_scene_and_seed_alone(scene, seed, size):
    picture = scenes.draw_scene(scene, size, random.Random(seed))
    assert (picture.mode, picture.size) == ("RGB", (size, size))
    assert picture.tobytes() == scenes.draw_scene(scene, size, random.Random(seed)).tobytes()
    assert picture.tobytes() != scenes.draw_scene(scene, size, random.Random(seed + 1)).tobytes()


@settings(max_examples=25, deadline=None)
@given(any_scene, st.integers(0, 2**32))
def test_each_thing_has_its_colour_where_it_lies(scene, seed):
    placed = []
    with pytest.MonkeyPatch.context() as patch:
        place_things = scenes.place_things
        patch.setattr(
            scenes, "place_things", lambda *args: placed.extend(place_things(*args)) or placed
        )
        picture = scenes.draw_scene(scene, 224, random.Random(seed)).convert("HSV")
    for thing, placement in zip((scene.first, scene.second), placed, strict=True):
        hue, saturation, _ = picture.getpixel((round(placement.x * 224), round(placement.y * 224)))
        wanted = scenes.COLOURS[thing.colour][0]
        assert abs((hue * 360 / 255 - wanted + 180) % 360 - 180) < 15
        assert saturation > 80


@pytest.mark.parametrize("fact", ["place", "first", "second", "relation"])
def test_every_fact_shows(fact):
    other = {
        "place": "at night",
        "first": Thing("red", "star"),
        "second": Thing("green", "box"),
        "relation": "left of",
    }[fact]
    changed = Scene(**{**vars(BALL_AND_BOX), fact: other})
    drawn = [scenes.draw_scene(s, 96, random.Random(3)) for s in (BALL_AND_BOX, changed)]
    difference = ImageStat.Stat(ImageChops.difference(*drawn).convert("L"))
    assert difference.mean[0] > 1


@settings(deadline=None)
@given(st.integers(10, len(SCENES)), st.integers(0, 1000))
def test_no_two_pictures_share_a_scene(pictures, seed):
    splits = scenes.choose_scenes(pictures, seed)
    chosen = [scene for members in splits.values() for scene in members]
    assert len(set(chosen)) == len(chosen) == pictures
    assert list(splits) == ["train", "dev", "test"]
    assert len(splits["train"]) > 3 * max(1, len(splits["dev"]), len(splits["test"]))
    assert min(map(len, splits.values())) >= 1


def test_training_shows_every_fact_of_the_held_out_scenes():
    splits = scenes.choose_scenes(500, seed=0)
    for fact in ("first", "second", "relation", "place"):
        seen = {getattr(scene, fact) for scene in splits["train"]}
        assert {getattr(scene, fact) for scene in splits["test"]} <= seen


def read_files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_command_writes_the_layout_of_flickr8k(tmp_path):
    for name, seed in (("one", "5"), ("again", "5"), ("other", "6")):
        arguments = [str(tmp_path / name), "--pictures", "20", "--seed", seed, "--size", "64"]
        assert scenes.main(arguments) == 0
    files = read_files(tmp_path / "one")
    assert files == read_files(tmp_path / "again")
    assert files != read_files(tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "one", "other"]

    rows = list(csv.reader(io.StringIO(files["captions.txt"].decode("ascii"))))
    assert rows[0] == ["image", "caption"]
    pictures = list(dict.fromkeys(name for name, _ in rows[1:]))
    assert len(pictures) == 20 and len(rows) == 101
    for name in pictures:
        with Image.open(io.BytesIO(files[f"Images/{name}"])) as picture:
            assert (picture.format, picture.size) == ("JPEG", (64, 64))
    listed = [
        files[f"Flickr_8k.{split}Images.txt"].decode("ascii").split()
        for split in ("train", "dev", "test")
    ]
    assert [len(names) for names in listed] == [16, 2, 2]
    assert sorted(itertools.chain(*listed)) == sorted(pictures)
    held_out = dict(rows[1:])[listed[2][0]]
    scene = scenes.choose_scenes(20, 5)["test"][0]
    assert held_out == scenes.captions_of(scene)[-1]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--pictures", "9"], "9 pictures"),
        (["--pictures", str(len(SCENES) + 1)], f"{len(SCENES) + 1} pictures"),
        (["--size", "31"], "31 pixels"),
    ],
)
def test_numbers_out_of_range_are_one_line(tmp_path, capsys, options, named):
    assert scenes.main([str(tmp_path / "new"), *options]) == 2
    error = capsys.readouterr().err
    assert named in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_output_that_holds_something_is_left_alone(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    for taken in (tmp_path, tmp_path / "notes.txt", tmp_path / "notes.txt" / "below"):
        assert scenes.main([str(taken), "--pictures", "10"]) == 2
        assert str(taken) in capsys.readouterr().err
    assert read_files(tmp_path) == {"notes.txt": b"mine"}


def test_interrupted_drawing_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(scenes, "captions_of", interrupt)
    with pytest.raises(KeyboardInterrupt):
        scenes.write_scenes(tmp_path / "new", pictures=10, seed=0, size=32)
    assert list(tmp_path.iterdir()) == []


def test_scene_count_is_bounded_with_a_remedy():
    with pytest.raises(UserError, match="ask for 10 to"):
        scenes.choose_scenes(10**6, seed=0)
