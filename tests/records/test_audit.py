"""The audit, on small datasets of drawn pictures and on a piece of Flickr8k."""

import hashlib
import io
import json
import random

import pytest
from by_hand import make_manifest, write_shard
from PIL import Image, ImageChops, ImageDraw, ImageEnhance

from records.audit import Audit, Degeneracy, Likeness, audit_dataset
from records.captions import clean_caption
from records.errors import UserError
from records.example import PictureRecord
from records.manifest import MANIFEST
from records.pictures import PictureSpec
from records.shards import ShardName
from records.tfrecord import CorruptRecord, write_records

CAPTIONS = ("A dog runs .", "The red dog jumps .")


def drawn(seed, size=(160, 120)):
    """Twelve ellipses of any colour and place, on a ground of any colour."""
    source = random.Random(seed)
    colour = lambda: tuple(source.randrange(256) for _ in range(3))  # noqa: E731
    image = Image.new("RGB", size, colour())
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = source.randrange(size[0]), source.randrange(size[1])
        draw.ellipse((x - 30, y - 20, x + 30, y + 20), fill=colour())
    return image


def jpeg(image, quality=90, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, **options)
    return buffer.getvalue()


def record(key, picture, captions=CAPTIONS, source=None):
    digest = hashlib.sha256(source or picture).hexdigest()
    cleaned = tuple(map(clean_caption, captions))
    return PictureRecord(picture, 1, 1, key, key, digest, tuple(captions), cleaned)


def write_dataset(directory, **splits):
    """Write a dataset of one shard per split, of these records."""
    shards = {
        split: [write_shard(directory, ShardName("tiny", split, 0, 1), records)]
        for split, records in splits.items()
    }
    manifest = make_manifest(shards, picture=PictureSpec(max_pixels=1_000_000))
    (directory / MANIFEST).write_text(manifest.to_json())
    return directory


def found(pairs):
    return {(pair.kind.value, *pair.splits, *pair.keys) for pair in pairs}


def pair_of(directory, one, other) -> Audit:
    write_dataset(directory, train=[record("a.jpg", one)], val=[record("b.jpg", other)])
    return audit_dataset(directory)


def test_planted_leaks_are_told_by_their_strongest_likeness_leaks_first(tmp_path):
    picture, other = jpeg(drawn(1)), jpeg(drawn(2))
    write_dataset(
        tmp_path,
        train=[
            record("a.jpg", picture),
            record("c.jpg", other),
            record("d.jpg", other),
            record("e.jpg", jpeg(drawn(3))),
        ],
        val=[
            record("z.jpg", picture),
            record("y.jpg", other, source=b"the same pixels in another file"),
            record("x.jpg", jpeg(drawn(3), quality=40)),
        ],
    )
    audit = audit_dataset(tmp_path)
    kinds = [(pair.kind.value, pair.leak) for pair in audit.duplicates]
    assert kinds == [("bytes", True), ("pixels", True), ("near", True), ("bytes", False)]
    assert found(audit.leaks) == {
        ("bytes", "train", "val", "a.jpg", "z.jpg"),
        ("pixels", "train", "val", "c.jpg", "y.jpg"),
        ("near", "train", "val", "e.jpg", "x.jpg"),
    }
    assert found(audit.duplicates) - found(audit.leaks) == {
        ("bytes", "train", "train", "c.jpg", "d.jpg")
    }


def test_every_picture_of_a_group_that_leaks_is_in_a_leak_and_no_square_of_pairs(tmp_path):
    picture = jpeg(drawn(1))
    train, val = [f"t{n}.jpg" for n in range(9)], [f"v{n}.jpg" for n in range(9)]
    write_dataset(
        tmp_path,
        train=[record(key, picture) for key in train],
        val=[record(key, picture) for key in val],
    )
    audit = audit_dataset(tmp_path)
    assert {key for pair in audit.leaks for key in pair.keys} == {*train, *val}
    assert len(audit.duplicates) == len({pair.keys for pair in audit.duplicates}) < 36


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((80, 60)),
        lambda image: image.resize((200, 300)),
        lambda image: image.crop((3, 2, 157, 118)),
        lambda image: ImageEnhance.Brightness(image).enhance(0.6),
        lambda image: ImageEnhance.Brightness(image).enhance(1.2),
        lambda image: ImageEnhance.Contrast(image).enhance(1.3),
        lambda image: image.convert("L").convert("RGB"),
    ],
    ids=["half", "stretched", "cropped", "darker", "brighter", "contrast", "grey"],
)
def test_a_changed_picture_is_a_near_duplicate(tmp_path, change, seed):
    audit = pair_of(tmp_path, jpeg(drawn(seed)), jpeg(change(drawn(seed)), quality=50))
    assert found(audit.leaks) == {("near", "train", "val", "a.jpg", "b.jpg")}


def test_different_pictures_are_no_duplicates(tmp_path):
    """Also slopes of snow, with nothing but the lens' faint shade, and ships on the horizon."""
    shade = Image.radial_gradient("L").resize((120, 80)).point(lambda level: level // 25)
    slopes = [ImageChops.subtract(Image.new("L", shade.size, snow), shade) for snow in (200, 220)]
    horizons = []
    for height, ship in ((40, 20), (44, 90)):
        image = Image.new("RGB", (120, 80), (190, 210, 240))
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, height, 120, 80), fill=(40, 60, 90))
        draw.rectangle((ship, height - 14, ship + 12, height + 8), fill=(200, 30, 30))
        horizons.append(image)
    pictures = [*map(drawn, range(40)), *slopes, *horizons]
    write_dataset(
        tmp_path, train=[record(f"{n}.jpg", jpeg(image)) for n, image in enumerate(pictures)]
    )
    assert audit_dataset(tmp_path).duplicates == ()


def test_captions_in_several_splits(tmp_path):
    picture = [jpeg(drawn(seed)) for seed in range(7)]
    write_dataset(
        tmp_path,
        train=[
            record("a.jpg", picture[0], ("A dog runs .", "The cat sits down")),
            record("b.jpg", picture[1], ("a DOG runs!", "Only here is this")),
            record("c.jpg", picture[2], ("the cat sits down", "a dog runs")),
            record("silent.jpg", picture[5], ()),
        ],
        val=[
            record("d.jpg", picture[3], ("The cat sits down .", "A dog runs")),
            record("e.jpg", picture[4], ("A dog runs", "Nowhere else said")),
            record("mute.jpg", picture[6], ()),
        ],
    )
    audit = audit_dataset(tmp_path)
    assert [(shared.caption, shared.pictures) for shared in audit.shared_captions] == [
        ("a dog runs", {"train": 3, "val": 2}),
        ("the cat sits down", {"train": 2, "val": 1}),
    ]
    assert audit.shared_caption_pictures == 5
    assert found(audit.equal_caption_sets) == {
        ("captions", "train", "val", "a.jpg", "d.jpg"),
        ("captions", "train", "val", "c.jpg", "d.jpg"),
    }
    assert audit.leaks == ()


def test_degenerate_captions_are_told_as_they_were_written(tmp_path):
    captions = ("broken image", "Dog, dog; DOG!", "A cat sits .", "a cat sits", "Four fine words .")
    write_dataset(tmp_path, train=[record("a.jpg", jpeg(drawn(1)), captions)])
    degenerate = audit_dataset(tmp_path).degenerate_captions
    assert [(each.kind, each.caption) for each in degenerate] == [
        (Degeneracy.SHORT, "broken image"),
        (Degeneracy.ONE_WORD, "Dog, dog; DOG!"),
        (Degeneracy.REPEATED, "a cat sits"),
    ]
    assert {(each.split, each.key) for each in degenerate} == {("train", "a.jpg")}


def test_the_audit_is_the_same_in_any_order_and_survives_json(tmp_path):
    records = [record(f"{n}.jpg", jpeg(drawn(n % 4, (160, 120 - n)))) for n in range(12)]
    for name, step in (("forth", 1), ("back", -1)):
        (tmp_path / name).mkdir()
        write_dataset(tmp_path / name, train=records[:6][::step], val=records[6:][::step])
    seen = []
    forth = audit_dataset(tmp_path / "forth", progress=seen.append).to_dict()
    back = audit_dataset(tmp_path / "back").to_dict()
    assert forth.pop("fingerprint") != back.pop("fingerprint")
    assert forth == back == json.loads(json.dumps(forth))
    assert sum(seen) == 12 and forth["pictures"] == {"train": 6, "val": 6}
    assert {pair["leak"] for pair in forth["duplicates"]} == {True, False}
    assert set(forth["duplicates"][0]) == {"kind", "keys", "splits", "distance", "leak"}


def test_a_damaged_record_is_named(tmp_path):
    write_dataset(tmp_path, train=[record("a.jpg", jpeg(drawn(1))), record("b.jpg", b"")])
    path = next(tmp_path.glob("*tfrecord*"))
    with pytest.raises(CorruptRecord, match=r"record 1 at byte \d+: its picture does not decode"):
        audit_dataset(tmp_path)
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptRecord, match="record 0 at byte 0: payload checksum differs"):
        audit_dataset(tmp_path)
    with path.open("wb") as file:
        write_records(file, [b"not an example"])
    with pytest.raises(CorruptRecord, match="record 0 at byte 0: is no picture record"):
        audit_dataset(tmp_path)


def test_a_hostile_picture_is_not_decoded(tmp_path):
    write_dataset(tmp_path, train=[record("a.jpg", jpeg(Image.new("L", (1001, 1000))))])
    with pytest.raises(CorruptRecord, match="1001000 pixels, more than 1000000"):
        audit_dataset(tmp_path)


def test_no_dataset(tmp_path):
    with pytest.raises(UserError, match=r"no manifest\.json"):
        audit_dataset(tmp_path)


# Of one camera position, a moment later; and one picture that is there under two names.
MOMENTS = {
    ("482882307_7dcb9eee11.jpg", "482882719_165722082d.jpg"),
    ("475313618_bdb2f72be5.jpg", "475317104_1cdc1653b4.jpg"),
    ("384465370_9918873f9a.jpg", "384465575_31294122c0.jpg"),
    ("3426933951_2302a941d8.jpg", "3426966595_c8c4e1e872.jpg"),
    ("186890601_8a6b0f1769.jpg", "186890605_ddff5b694e.jpg"),
}
TWICE = ("2851198725_37b6027625.jpg", "3050606344_af711c726c.jpg")


def test_the_duplicates_of_flickr8k_and_none_among_others(tmp_path, shared):
    images = shared / "flickr8k" / "Images"
    known = {key for pair in (*MOMENTS, TWICE) for key in pair}
    keys = known.union(sorted(path.name for path in images.glob("*.jpg"))[::60])
    write_dataset(tmp_path, train=[record(key, (images / key).read_bytes()) for key in keys])
    duplicates = audit_dataset(tmp_path).duplicates
    assert {pair.keys for pair in duplicates if pair.kind == Likeness.NEAR} == MOMENTS
    assert [pair.keys for pair in duplicates if pair.kind == Likeness.BYTES] == [TWICE]
