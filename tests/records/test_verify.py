"""The manifest and verification, on a small dataset written by hand."""

import dataclasses
import hashlib
import json

import pytest
from by_hand import make_manifest, write_shard

from records.captions import CaptionSpec
from records.dead_letters import DeadLetter, Reason, dead_letter_lines
from records.errors import UserError
from records.example import PictureRecord
from records.index import decode_index, encode_index
from records.manifest import (
    DEAD_LETTERS,
    MANIFEST,
    VOCABULARY,
    SourceInfo,
    SplitInfo,
    Statistics,
    load_manifest,
)
from records.pictures import PictureSpec
from records.shards import ShardName, shard_of
from records.tfds import TFDS_FILES, tfds_files
from records.tfrecord import frame_record
from records.verify import check_files, verify_dataset
from records.vocabulary import build_vocabulary

KEYS = sorted(f"{number}.jpg" for number in range(12))


def record(key):
    captions = (f"picture {key}", "a picture")
    return PictureRecord(b"\xff\xd8jpeg", 1, 1, key, key, "0" * 64, captions, captions)


def build_manifest(directory):
    shards = [
        write_shard(
            directory,
            ShardName("tiny", "train", index, 3),
            [record(key) for key in KEYS if shard_of(key, 3) == index],
        )
        for index in range(3)
    ]
    val = write_shard(directory, ShardName("tiny", "val", 0, 1), [record("v.jpg")])
    vocabulary = build_vocabulary({"picture": 12, "a": 12}, 5).to_text()
    (directory / VOCABULARY).write_text(vocabulary)
    letters = [DeadLetter(key, Reason.MISSING, "gone") for key in ("x.jpg", "y.jpg")]
    (directory / DEAD_LETTERS).write_text(dead_letter_lines(letters))
    return make_manifest(
        {"val": [val], "train": shards},
        vocabulary_size=6,
        vocabulary_sha256=hashlib.sha256(vocabulary.encode()).hexdigest(),
        source=SourceInfo(15, 30, "2" * 64, 1),
        rejected=2,
        dead_letters={"missing": 2},
        statistics=Statistics({2: 13}, 2.0, 2),
    )


@pytest.fixture
def dataset(tmp_path):
    manifest = build_manifest(tmp_path)
    for file, text in ({MANIFEST: manifest.to_json()} | tfds_files(manifest)).items():
        (tmp_path / file).write_text(text)
    return tmp_path


def edit(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_manifest_round_trip(dataset):
    manifest = load_manifest(dataset)
    assert manifest == build_manifest(dataset)
    assert manifest.to_json() == (dataset / MANIFEST).read_text()
    assert (manifest.records("train"), manifest.records("val")) == (12, 1)
    assert manifest.shard_paths(dataset, "train") == sorted(dataset.glob("tiny-train.tf*"))


def test_unknown_split_lists_the_known(dataset):
    with pytest.raises(UserError, match=r"no split 'test': choose one of train, val"):
        load_manifest(dataset).shard_paths(dataset, "test")


def test_fingerprint_follows_the_content_alone(dataset):
    manifest = load_manifest(dataset)
    same = dataclasses.replace(manifest, rejected=5, dead_letters={})
    assert same.fingerprint == manifest.fingerprint
    for change in (
        {"name": "other"},
        {"picture": PictureSpec(quality=80)},
        {"caption": CaptionSpec(min_count=4)},
        {"vocabulary_sha256": "0" * 64},
        {"split_infos": {"train": manifest.split("train")}},
    ):
        assert dataclasses.replace(manifest, **change).fingerprint != manifest.fingerprint


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"schema_version": 1}, "schema version 1"),
        ({"schema_version": None}, "schema version None"),
        ({"picture_digest": "0" * 16}, "picture_digest"),
        ({"caption_digest": "0" * 16}, "caption_digest"),
        ({"fingerprint": "0" * 64}, "fingerprint"),
        ({"name": "other"}, "fingerprint"),
        ({"picture": {"size": -1}}, "no valid manifest"),
        ({"picture": {"depth": 3}}, "no valid manifest"),
        ({"splits": []}, "no valid manifest"),
        ({"splits": {"train": {"shards": [{"file": "../../x"}]}}}, "no valid manifest"),
        ({"statistics": None}, "no valid manifest"),
        ({"dead_letters": {"missing": "<b>"}}, "no valid manifest"),
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
        *sorted(path.name for path in dataset.glob("tiny-*.tfrecord-*")),
        VOCABULARY,
        DEAD_LETTERS,
        *TFDS_FILES,
    ]


def damaged(dataset, file):
    damages = verify_dataset(dataset)
    assert damages and all(damage.file == file for damage in damages)
    return " / ".join(map(str, damages))


def test_one_flipped_bit_is_found_and_placed(dataset):
    path = sorted(dataset.glob("tiny-train.tf*"))[1]
    content = bytearray(path.read_bytes())
    second = 16 + int.from_bytes(content[:8], "little")
    content[second + 30] ^= 1
    path.write_bytes(content)
    report = damaged(dataset, path.name)
    assert f"record 1 at byte {second}" in report
    assert "SHA-256" in report and "whole records" in report


def test_missing_shard(dataset):
    path = sorted(dataset.glob("tiny-train.tf*"))[2]
    path.unlink()
    assert "is missing" in damaged(dataset, path.name)


def test_cut_shard(dataset):
    path = next(dataset.glob("tiny-val.tf*"))
    path.write_bytes(path.read_bytes()[:-1])
    report = damaged(dataset, path.name)
    assert "bytes, the manifest says" in report and "record 0 at byte 0" in report


def test_shard_cut_between_two_records_is_placed(dataset):
    path = max(dataset.glob("tiny-train.tf*"), key=lambda path: path.stat().st_size)
    offsets = decode_index(
        path.with_name(path.name.replace("tfrecord", "index")).read_bytes(), path.stat().st_size
    )
    path.write_bytes(path.read_bytes()[: offsets[2]])
    assert f"record 2 at byte {offsets[2]}: is not there" in damaged(dataset, path.name)


def flip_a_bit(content):
    return content[:8] + bytes([content[8] ^ 1]) + content[9:]


@pytest.mark.parametrize("change", [flip_a_bit, lambda content: content[:-8], lambda _: b""])
def test_damaged_index(dataset, change):
    path = sorted(dataset.glob("tiny-train.index*"))[0]
    path.write_bytes(change(path.read_bytes()))
    assert "SHA-256" in damaged(dataset, path.name)
    path.unlink()
    assert "is missing" in damaged(dataset, path.name)


def test_an_index_that_was_written_wrong(dataset):
    """Its hash agrees with the manifest: only the records tell."""
    manifest = load_manifest(dataset)
    shard, *rest = manifest.split("train").shards
    path = dataset / shard.index_file
    offsets = decode_index(path.read_bytes(), shard.bytes)
    offsets[1] += 1
    path.write_bytes(encode_index(offsets))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    shards = (dataclasses.replace(shard, index_sha256=digest), *rest)
    splits = dict(manifest.split_infos) | {"train": SplitInfo(shards)}
    changed = dataclasses.replace(manifest, split_infos=splits)
    for file, text in ({MANIFEST: changed.to_json()} | tfds_files(changed)).items():
        (dataset / file).write_text(text)
    assert "record 1 at byte" in damaged(dataset, path.name)


@pytest.mark.parametrize("file", [DEAD_LETTERS, *TFDS_FILES])
def test_files_beside_the_shards_are_checked(dataset, file):
    content = (dataset / file).read_text()
    (dataset / file).write_text(content[: len(content) // 2])
    assert damaged(dataset, file)
    (dataset / file).unlink()
    assert damaged(dataset, file)


def test_whole_frames_of_something_else(dataset):
    path = next(dataset.glob("tiny-val.tf*"))
    path.write_bytes(frame_record(b"not an example"))
    assert "record 0 at byte 0: is no picture record" in damaged(dataset, path.name)


def test_stray_shard_of_an_earlier_build(dataset):
    stray = dataset / "tiny-train.tfrecord-00003-of-00004"
    stray.write_bytes(b"")
    assert "not in the manifest" in damaged(dataset, stray.name)
    (dataset / "other-train.tfrecord-00003-of-00004").write_bytes(b"")
    (dataset / "tiny-train.index-00003-of-00004").write_bytes(b"")
    assert len(verify_dataset(dataset)) == 2


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
    info = write_shard(dataset, ShardName.parse(first.file), [record(intruder)])
    splits = dict(manifest.split_infos) | {"train": SplitInfo((info, *rest))}
    changed = dataclasses.replace(manifest, split_infos=splits)
    for file, text in ({MANIFEST: changed.to_json()} | tfds_files(changed)).items():
        (dataset / file).write_text(text)
    assert f"{intruder} belongs to another shard" in damaged(dataset, first.file)
