"""Drawn scenes with captions: a picture set that needs no download and has right answers.

A scene is two coloured things, how they lie to each other, and a place. Its five captions are five
sentence forms filled with these facts, so a predicted caption is entirely correct exactly where it
equals one of them. No two pictures share all facts: every held-out scene is a combination that
does not occur in training, and its caption must be read off the picture.

    python -m tfcap.scenes OUTPUT

writes the layout of Flickr8k: `OUTPUT/Images/`, `OUTPUT/captions.txt` and the three split files.
"""

import argparse
import colorsys
import csv
import dataclasses
import itertools
import math
import random
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw
from tqdm import tqdm

from records.errors import UserError

Point = tuple[float, float]
RGB = tuple[int, int, int]

# Hue in degrees, saturation and value in 0..1; hues lie far enough apart to be jittered.
COLOURS = {
    "red": (0, 0.85, 0.88),
    "yellow": (52, 0.85, 0.97),
    "green": (125, 0.75, 0.65),
    "blue": (215, 0.85, 0.88),
    "purple": (280, 0.60, 0.72),
}
# A relation as the first thing has it, and as the second has it.
RELATIONS = {"left of": "right of", "above": "below"}
# Share of the pictures; the rest is for training.
HELD_OUT_SHARE = {"dev": 0.1, "test": 0.1}
OUTLINE = 0.13  # width of the white rim of a thing, in radii
OVERSAMPLING = 4  # things are drawn this much larger and reduced: smooth edges


@dataclasses.dataclass(frozen=True)
class Thing:
    """A coloured shape: a key of `COLOURS` and one of `SHAPES`."""

    colour: str
    shape: str

    def __str__(self) -> str:
        return f"{self.colour} {self.shape}"


@dataclasses.dataclass(frozen=True)
class Scene:
    """The facts of a picture.

    Attributes:
        first: the left or upper thing.
        second: the other one, never the same as the first.
        relation: what the first is to the second, a key of `RELATIONS`.
        place: a key of `PLACES`.
    """

    first: Thing
    second: Thing
    relation: str
    place: str


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where a thing lies, in units of the picture's side.

    Attributes:
        x: of the centre, from the left.
        y: of the centre, from the top.
        radius: of the circle around the thing.
        turn: clockwise, in radians.
    """

    x: float
    y: float
    radius: float
    turn: float


@dataclasses.dataclass(frozen=True)
class Backdrop:
    """The colours of a place.

    Attributes:
        sky: at the top and at the horizon.
        ground: at the horizon and at the bottom.
        specks: of the small dots.
        speck_top: height where dots begin, in picture sides from the top.
        speck_bottom: height where they end.
    """

    sky: tuple[RGB, RGB]
    ground: tuple[RGB, RGB]
    specks: tuple[RGB, ...]
    speck_top: float
    speck_bottom: float


PLACES = {
    "on the beach": Backdrop(
        sky=((120, 196, 232), (206, 236, 244)),
        ground=((236, 214, 160), (222, 186, 124)),
        specks=((196, 160, 110), (250, 238, 214), (176, 140, 100)),
        speck_top=0.68,
        speck_bottom=1.0,
    ),
    "in the snow": Backdrop(
        sky=((150, 164, 186), (206, 214, 226)),
        ground=((244, 248, 252), (216, 228, 242)),
        specks=((255, 255, 255),),
        speck_top=0.0,
        speck_bottom=0.8,
    ),
    "in a meadow": Backdrop(
        sky=((140, 200, 244), (222, 240, 250)),
        ground=((150, 202, 104), (86, 156, 70)),
        specks=((250, 250, 240), (250, 222, 110), (240, 170, 190)),
        speck_top=0.68,
        speck_bottom=1.0,
    ),
    "at night": Backdrop(
        sky=((14, 18, 52), (52, 56, 110)),
        ground=((40, 48, 66), (22, 28, 42)),
        specks=((255, 250, 220), (214, 224, 255)),
        speck_top=0.0,
        speck_bottom=0.5,
    ),
}


def _rays(radii: Sequence[float], corners: int, start: float = -math.pi / 2) -> tuple[Point, ...]:
    """Return points at even angles clockwise from `start`, at radii taken in turn."""
    angles = (start + 2 * math.pi * i / corners for i in range(corners))
    return tuple(
        (r * math.cos(angle), r * math.sin(angle))
        for angle, r in zip(angles, itertools.cycle(radii), strict=False)
    )


def _heart() -> tuple[Point, ...]:
    """Return the heart curve of https://mathworld.wolfram.com/HeartCurve.html, within radius 1."""
    angles = [2 * math.pi * i / 48 for i in range(48)]
    return tuple(
        (
            16 * math.sin(t) ** 3 / 17,
            -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 17,
        )
        for t in angles
    )


# Corners within the unit circle, y down.
SHAPES = {
    "ball": _rays([0.86], 48),
    "box": _rays([1.0], 4, start=-math.pi / 4),
    "star": _rays([1.0, 0.45], 10),
    "heart": _heart(),
    "cone": ((0.0, -1.0), (0.8, 0.6), (-0.8, 0.6)),
}


def all_scenes() -> list[Scene]:
    """Return every scene there is, in a set order."""
    things = itertools.starmap(Thing, itertools.product(COLOURS, SHAPES))
    pairs = itertools.permutations(things, 2)
    return [
        Scene(first, second, relation, place)
        for (first, second), relation, place in itertools.product(pairs, RELATIONS, PLACES)
    ]


def captions_of(scene: Scene) -> tuple[str, ...]:
    """Return the five captions of a scene; each states all of its facts."""
    first, second, place = f"a {scene.first}", f"a {scene.second}", scene.place
    relation, converse = scene.relation, RELATIONS[scene.relation]
    return (
        f"{first} is {relation} {second} {place}.".capitalize(),
        f"{place}, {second} is {converse} {first}.".capitalize(),
        f"There is {first} {relation} {second} {place}.",
        f"The picture shows {second} {converse} {first} {place}.",
        f"Two things {place}: {first} {relation} {second}.",
    )


def place_things(scene: Scene, rng: random.Random) -> tuple[Placement, Placement]:
    """Return where the two things lie: apart from each other, whole, their relation plain."""
    along, across = rng.uniform(-0.04, 0.04), rng.uniform(-0.14, 0.14)
    placements = []
    for side in (-1, 1):
        main = 0.5 + along + side * rng.uniform(0.21, 0.25)
        other = 0.5 + across + rng.uniform(-0.06, 0.06)
        x, y = (main, other) if scene.relation == "left of" else (other, main)
        placements.append(Placement(x, y, rng.uniform(0.15, 0.18), rng.uniform(-0.2, 0.2)))
    return placements[0], placements[1]


def draw_scene(scene: Scene, size: int, rng: random.Random) -> Image.Image:
    """Draw a scene.

    Args:
        scene: the facts.
        size: side of the square picture in pixels.
        rng: decides all that is not a fact: positions, sizes, turns, tints, texture.

    Returns:
        An RGB picture.
    """
    picture = _draw_backdrop(PLACES[scene.place], size, rng)
    placements = place_things(scene, rng)
    for thing, placement in zip((scene.first, scene.second), placements, strict=True):
        _draw_thing(picture, thing, placement, rng)
    return picture


def _gradient(top: RGB, bottom: RGB, size: tuple[int, int]) -> Image.Image:
    strip = Image.new("RGB", (1, 2))
    strip.putdata([top, bottom])
    return strip.resize(size, Image.Resampling.BILINEAR)


def _draw_backdrop(backdrop: Backdrop, size: int, rng: random.Random) -> Image.Image:
    picture = _gradient(*backdrop.sky, (size, size))
    ground = _gradient(*backdrop.ground, (size, size))
    picture.paste(ground, mask=_draw_ground_mask(size, rng))
    pen = ImageDraw.Draw(picture)
    for _ in range(40):
        x = rng.uniform(0, size)
        y = rng.uniform(backdrop.speck_top, backdrop.speck_bottom) * size
        radius = rng.uniform(0.002, 0.008) * size
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), rng.choice(backdrop.specks))
    return _add_texture(picture, rng)


def _draw_ground_mask(size: int, rng: random.Random) -> Image.Image:
    """Return 255 below a wavy horizon, as an L picture."""
    horizon, phase = rng.uniform(0.52, 0.66), rng.uniform(0, 2 * math.pi)
    height, waves = rng.uniform(0.005, 0.03), rng.uniform(0.7, 1.6)
    steps = [i / 32 for i in range(33)]
    line = [(x, horizon + height * math.sin(phase + 2 * math.pi * waves * x)) for x in steps]
    side = 2 * size
    mask = Image.new("L", (side, side))
    corners = [(x * side, y * side) for x, y in (*line, (1, 1), (0, 1))]
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    return mask.reduce(2)


def _add_texture(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Return the picture with soft clouds of light and shade and a fine grain."""
    cells = 12
    clouds = Image.frombytes("L", (cells, cells), rng.randbytes(cells * cells))
    clouds = clouds.resize(picture.size, Image.Resampling.BICUBIC)
    grain = Image.frombytes("L", picture.size, rng.randbytes(picture.width * picture.height))
    noise = Image.merge("RGB", [Image.blend(clouds, grain, 0.3)] * 3)
    return Image.blend(picture, ImageChops.overlay(picture, noise), 0.25)


def _tint(colour: str, rng: random.Random) -> RGB:
    hue, saturation, value = COLOURS[colour]
    hue = (hue + rng.uniform(-8, 8)) / 360 % 1
    value = min(value * rng.uniform(0.92, 1.08), 1.0)
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _draw_thing(
    picture: Image.Image, thing: Thing, placement: Placement, rng: random.Random
) -> None:
    """Draw a thing onto the picture: a soft shadow, a white rim, a fill lit from above."""
    radius = placement.radius * picture.width
    side = round(2.5 * radius)
    scale = OVERSAMPLING * radius
    centre = OVERSAMPLING * side / 2
    cos, sin = math.cos(placement.turn), math.sin(placement.turn)
    corners = [
        (centre + scale * (x * cos - y * sin), centre + scale * (x * sin + y * cos))
        for x, y in SHAPES[thing.shape]
    ]
    fill = Image.new("L", (OVERSAMPLING * side, OVERSAMPLING * side))
    ImageDraw.Draw(fill).polygon(corners, fill=255)
    rim = fill.copy()
    # The line runs on over its first two corners, so that the joint there is round as well.
    loop = [*corners, *corners[:2]]
    ImageDraw.Draw(rim).line(loop, fill=255, width=round(OUTLINE * scale), joint="curve")
    fill, rim = fill.reduce(OVERSAMPLING), rim.reduce(OVERSAMPLING)
    left = round(placement.x * picture.width - side / 2)
    top = round(placement.y * picture.height - side / 2)
    shift = max(1, round(0.08 * radius))
    picture.paste((30, 34, 48), (left + shift, top + shift), rim.point(lambda level: level // 3))
    picture.paste((255, 255, 255), (left, top), rim)
    tint = _tint(thing.colour, rng)
    light = tuple(round(channel + (255 - channel) * 0.25) for channel in tint)
    picture.paste(_gradient(light, tint, (side, side)), (left, top), fill)


def choose_scenes(pictures: int, seed: int) -> dict[str, list[Scene]]:
    """Choose different scenes for the splits "train", "dev" and "test".

    Raises:
        UserError: fewer than 10 pictures, or more than there are scenes.
    """
    scenes = all_scenes()
    if not 10 <= pictures <= len(scenes):
        raise UserError(f"{pictures} pictures cannot be drawn: ask for 10 to {len(scenes):,}")
    chosen = iter(random.Random(seed).sample(scenes, pictures))
    counts = {split: round(share * pictures) for split, share in HELD_OUT_SHARE.items()}
    counts = {"train": pictures - sum(counts.values()), **counts}
    return {split: list(itertools.islice(chosen, count)) for split, count in counts.items()}


def write_scenes(output: Path, pictures: int, seed: int, size: int) -> None:
    """Draw scenes into a new directory; it appears under its name only when whole.

    Args:
        output: must be missing or empty.
        pictures: how many, over all splits.
        seed: the same seed gives the same files.
        size: side of the pictures in pixels.

    Raises:
        UserError: `output` holds something or cannot be made, or a number is out of range.
    """
    if size < 32:
        raise UserError(f"pictures of {size} pixels are too small to read: give at least 32")
    splits = choose_scenes(pictures, seed)
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"{output} exists and is not an empty directory: name a new one")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as partial:
            whole = Path(partial, "scenes")
            _write_files(whole, splits, seed, size)
            whole.replace(output)
    except OSError as error:
        raise UserError(f"cannot write {output} ({error}): name another directory") from error


def _write_files(directory: Path, splits: dict[str, list[Scene]], seed: int, size: int) -> None:
    (directory / "Images").mkdir(parents=True)
    scenes = [scene for members in splits.values() for scene in members]
    names = [f"scene_{index:05d}.jpg" for index in range(len(scenes))]
    for name, scene in zip(tqdm(names, desc="drawing", unit="picture"), scenes, strict=True):
        picture = draw_scene(scene, size, random.Random(f"{seed}/{name}"))
        picture.save(directory / "Images" / name, quality=92)
    rows = [
        (name, caption)
        for name, scene in zip(names, scenes, strict=True)
        for caption in captions_of(scene)
    ]
    with (directory / "captions.txt").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("image", "caption"), *rows])
    members = iter(names)
    for split, chosen in splits.items():
        lines: Iterable[str] = (f"{name}\n" for name in itertools.islice(members, len(chosen)))
        (directory / f"Flickr_8k.{split}Images.txt").write_text("".join(lines), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tfcap.scenes",
        description="Draw captioned scenes in the layout of Flickr8k: Images/, captions.txt and "
        "three split files. No two pictures show the same scene.",
    )
    parser.add_argument("output", type=Path, help="directory to make")
    parser.add_argument(
        "--pictures", type=int, default=2000, help="how many, over all splits (default: 2000)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="another seed, another set (default: 0)"
    )
    parser.add_argument("--size", type=int, default=224, help="side in pixels (default: 224)")
    options = parser.parse_args(arguments)
    try:
        write_scenes(options.output, options.pictures, options.seed, options.size)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
