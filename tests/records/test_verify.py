"""The manifest and verification, on a small dataset written by hand."""

import dataclasses
import hashlib
import json

import pytest

from records.captions import CaptionSpec
from records.errors import UserError
from records.example import PictureRecord, encode_example
from records.manifest import (
    MANIFEST,
    VOCABULARY,
    Manifest,
    ShardInfo,
    SplitInfo,
    Statistics,
    load_manifest,
)
from records.pictures import PictureSpec
from records.shards import ShardName, shard_of
from records.tfrecord import frame_record, write_records
from records.verify import check_files, verify_dataset
from records.vocabulary import build_vocabulary

KEYS = [f"{number}.jpg" for number in range(12)]


def payload(key):
    captions = (f"picture {key}", "a picture")
    return encode_example(
        PictureRecord(b"\xff\xd8jpeg", 1, 1, key, key, "0" * 64, captions, captions)
    )


def write_shard(directory, name, keys):
    path = directory / str(name)
    with path.open("wb") as file:
        written = write_records(file, map(payload, keys))
    return ShardInfo(path.name, written.records, 2 * len(keys), written.bytes, written.sha256)


def build_manifest(directory):
    shards = [
        write_shard(
            directory,
            ShardName("tiny", "train", index, 3),
            [key for key in KEYS if shard_of(key, 3) == index],
        )
        for index in range(3)
    ]
    val = write_shard(directory, ShardName("tiny", "val", 0, 1), ["v.jpg"])
    vocabulary = build_vocabulary({"picture": 12, "a": 12}, 5).to_text()
    (directory / VOCABULARY).write_text(vocabulary)
    return Manifest(
        name="tiny",
        picture=PictureSpec(),
        caption=CaptionSpec(),
        min_count=5,
        vocabulary_size=6,
        vocabulary_sha256=hashlib.sha256(vocabulary.encode()).hexdigest(),
        split_infos={"val": SplitInfo((val,)), "train": SplitInfo(tuple(shards))},
        unassigned=1,
        dead_letters={"missing": 2},
        statistics=Statistics({2: 13}, 2.0, 2),
    )


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / MANIFEST).write_text(build_manifest(tmp_path).to_json())
    return tmp_path


def edit(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_manifest_round_trip(dataset):
    manifest = load_manifest(dataset)
    assert manifest == build_manifest(dataset)
    assert manifest.to_json() == (dataset / MANIFEST).read_text()
    assert (manifest.records("train"), manifest.records("val")) == (12, 1)
    assert manifest.shard_paths(dataset, "train") == sorted(dataset.glob("tiny-train*"))


def test_unknown_split_lists_the_known(dataset):
    with pytest.raises(UserError, match=r"no split 'test': choose one of train, val"):
        load_manifest(dataset).shard_paths(dataset, "test")


def test_fingerprint_follows_the_content_alone(dataset):
    manifest = load_manifest(dataset)
    same = dataclasses.replace(manifest, unassigned=5, dead_letters={})
    assert same.fingerprint == manifest.fingerprint
    for change in (
        {"name": "other"},
        {"min_count": 4},
        {"picture": PictureSpec(quality=80)},
        {"caption": CaptionSpec(min_words=2)},
        {"vocabulary_sha256": "0" * 64},
        {"split_infos": {"train": manifest.split("train")}},
    ):
        assert dataclasses.replace(manifest, **change).fingerprint != manifest.fingerprint


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"schema_version": 2}, "schema version 2"),
        ({"schema_version": None}, "schema version None"),
        ({"picture_digest": "0" * 16}, "picture_digest"),
        ({"caption_digest": "0" * 16}, "caption_digest"),
        ({"fingerprint": "0" * 64}, "fingerprint"),
        ({"min_count": 6}, "fingerprint"),
        ({"picture": {"size": -1}}, "no valid manifest"),
        ({"picture": {"depth": 3}}, "no valid manifest"),
        ({"splits": []}, "no valid manifest"),
        ({"splits": {"train": {"shards": [{"file": "../../x"}]}}}, "no valid manifest"),
        ({"statistics": None}, "no valid manifest"),
    ],
)
def test_other_manifests_are_refused_by_name(dataset, fields, complaint):
    edit(dataset / MANIFEST, **fields)
    with pytest.raises(UserError) as error:
        load_manifest(dataset)
    assert complaint in str(error.value) and MANIFEST in str(error.value)
    assert "\n" not in str(error.value)


def test_a_hostile_shard_name_is_refused(dataset):
    fields = json.loads((dataset / MANIFEST).read_text())
    fields["splits"]["val"]["shards"][0]["file"] = "../tiny-val.tfrecord-00000-of-00001"
    (dataset / MANIFEST).write_text(json.dumps(fields))
    with pytest.raises(UserError, match="no valid manifest"):
        load_manifest(dataset)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null", "3"])
def test_no_manifest_at_all(dataset, content):
    (dataset / MANIFEST).write_text(content)
    with pytest.raises(UserError, match=r"manifest\.json is no manifest"):
        load_manifest(dataset)


def test_missing_directory_and_missing_manifest(tmp_path):
    with pytest.raises(UserError, match="no directory"):
        load_manifest(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no manifest\.json in"):
        load_manifest(tmp_path)


def test_a_whole_dataset_has_no_damage(dataset):
    assert verify_dataset(dataset) == []
    assert [check.file for check in check_files(dataset)] == [
        *sorted(path.name for path in dataset.glob("tiny-*")),
        VOCABULARY,
    ]


def damaged(dataset, file):
    damages = verify_dataset(dataset)
    assert damages and all(damage.file == file for damage in damages)
    return " / ".join(map(str, damages))


def test_one_flipped_bit_is_found_and_placed(dataset):
    path = sorted(dataset.glob("tiny-train*"))[1]
    content = bytearray(path.read_bytes())
    second = 16 + int.from_bytes(content[:8], "little")
    content[second + 30] ^= 1
    path.write_bytes(content)
    report = damaged(dataset, path.name)
    assert f"record 1 at byte {second}" in report
    assert "SHA-256" in report and "whole records" in report


def test_missing_shard(dataset):
    path = sorted(dataset.glob("tiny-train*"))[2]
    path.unlink()
    assert "is missing" in damaged(dataset, path.name)


def test_cut_shard(dataset):
    path = next(dataset.glob("tiny-val*"))
    path.write_bytes(path.read_bytes()[:-1])
    report = damaged(dataset, path.name)
    assert "bytes, the manifest says" in report and "record 0 at byte 0" in report


def test_whole_frames_of_something_else(dataset):
    path = next(dataset.glob("tiny-val*"))
    path.write_bytes(frame_record(b"not an example"))
    assert "record 0 at byte 0: is no picture record" in damaged(dataset, path.name)


def test_stray_shard_of_an_earlier_build(dataset):
    stray = dataset / "tiny-train.tfrecord-00003-of-00004"
    stray.write_bytes(b"")
    assert "not in the manifest" in damaged(dataset, stray.name)
    (dataset / "other-train.tfrecord-00003-of-00004").write_bytes(b"")
    assert len(verify_dataset(dataset)) == 1


@pytest.mark.parametrize("edit_text", [str.upper, lambda text: text + "x\n", lambda text: ""])
def test_edited_vocabulary(dataset, edit_text):
    path = dataset / VOCABULARY
    path.write_text(edit_text(path.read_text()))
    assert damaged(dataset, VOCABULARY)


def test_record_in_the_wrong_shard(dataset):
    """The manifest agrees with the file: only the key tells."""
    manifest = load_manifest(dataset)
    first, *rest = manifest.split("train").shards
    intruder = next(key for key in KEYS if shard_of(key, 3) != 0)
    info = write_shard(dataset, ShardName.parse(first.file), [intruder])
    splits = dict(manifest.split_infos) | {"train": SplitInfo((info, *rest))}
    changed = dataclasses.replace(manifest, split_infos=splits)
    (dataset / MANIFEST).write_text(changed.to_json())
    assert f"{intruder} belongs to another shard" in damaged(dataset, first.file)
