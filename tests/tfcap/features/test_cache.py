"""Feature caches on the disk: stopped and gone on with, damaged, shared, refused."""

import errno
import os
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from records.errors import UserError
from records.tfrecord import read_records
from records.vocabulary import build_vocabulary
from tfcap.augment import AugmentSpec
from tfcap.data import Order
from tfcap.features import cached_features, find_features, free_bytes, writer
from tfcap.text import CaptionIds

FILES = 13  # three shards of two views, their indexes, the manifest


class Stopped(BaseException):
    """Stands for the end of the process: nothing in the code under test handles it."""


@pytest.fixture
def build(dataset, features, encode):
    """A function that returns the stored features of the plain and the mirrored pictures."""

    def built(directory=features):
        spec = dataset.spec()
        return cached_features(directory, dataset.directory, dataset.manifest, spec, encode)

    return built


@pytest.fixture
def ids():
    return CaptionIds(build_vocabulary({"a": 9, "dog": 9, "runs": 9}, 1))


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != ".lock"}


def run_and_stop_at(build, monkeypatch, step):
    """Build until file operation number `step`; tell whether it got so far."""
    done = 0

    def stopping(operation):
        def wrapped(*args, **kwargs):
            nonlocal done
            done += 1
            if done > step:  # after a kill nobody tidies up either
                raise Stopped
            return operation(*args, **kwargs)

        return wrapped

    with monkeypatch.context() as patch:
        for name in ("mkdir", "open", "write_bytes", "replace", "unlink"):
            patch.setattr(Path, name, stopping(getattr(Path, name)))
        encode_features = writer.encode_features
        patch.setattr(
            writer,
            "encode_features",
            lambda key, *rest: (
                stopping(encode_features)(key, *rest)
                if key in (b"000.jpg", b"039.jpg")  # a kill within a shard, twice
                else encode_features(key, *rest)
            ),
        )
        try:
            build()
        except Stopped:
            return True
    return False


def test_stopped_at_any_file_operation_and_run_again_it_ends_in_the_same_bytes(
    build, dataset, features, tmp_path, monkeypatch
):
    pictures, batches = writer._Build._pictures, {}

    def read_once(self, part):
        if part not in batches:
            batches[part] = list(pictures(self, part))
        return batches[part]

    monkeypatch.setattr(writer._Build, "_pictures", read_once)
    expected = contents(build(tmp_path / "fresh").directory)
    assert len(expected) == FILES
    steps = 0
    while run_and_stop_at(build, monkeypatch, steps):
        found = find_features(features, dataset.spec())  # nothing, or all
        assert found is None or contents(found.directory) == expected
        assert contents(build().directory) == expected, f"stopped at step {steps}"
        shutil.rmtree(features)
        steps += 1
    assert steps > 40


def test_what_is_finished_is_not_encoded_again(build, monkeypatch):
    directory, encoded = build().directory, []
    (directory / "manifest.json").unlink()
    (directory / "tiny-train_view1.index-00002-of-00003").unlink()
    damaged = directory / "tiny-train_view0.tfrecord-00000-of-00003"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    encode_features = writer.encode_features
    monkeypatch.setattr(
        writer, "encode_features", lambda *args: encoded.append(1) or encode_features(*args)
    )
    build()
    assert len(encoded) == 17 + 23
    build()
    assert len(encoded) == 17 + 23


def test_a_second_builder_waits_and_writes_nothing(build, monkeypatch, capfd):
    begun, waits, encoded = threading.Event(), threading.Event(), []
    encode_features = writer.encode_features

    def slow(key, *rest):
        begun.set()
        assert waits.wait(60)
        encoded.append(key)
        return encode_features(key, *rest)

    monkeypatch.setattr(writer, "encode_features", slow)
    monkeypatch.setattr(writer.tqdm, "write", lambda *args, **kwargs: waits.set())
    built = []
    threads = [threading.Thread(target=lambda: built.append(build())) for _ in range(2)]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert len(encoded) == 2 * 40
    assert built[0] == built[1]


def test_a_record_is_whole_by_itself(build, dataset):
    cache = build()
    plain, mirrored = (
        [tf.train.Example.FromString(payload).features.feature for payload in read_records(path)]
        for path in (cache.shards[0], cache.shards[3])
    )
    assert plain[2]["image/filename"].bytes_list.value[0] == b"002.jpg"
    assert list(plain[0]["caption/text"].bytes_list.value) == [b"a dog runs", b"a red dog"]
    assert list(plain[3]["caption/text"].bytes_list.value) == []
    assert list(plain[0]["features/shape"].int64_list.value) == [4, 4, 3]
    bytes_ = [record["features/float32"].bytes_list.value[0] for record in plain]
    assert np.frombuffer(bytes_[0], "<f4").shape == (48,)
    others = [record["features/float32"].bytes_list.value[0] for record in mirrored]
    same = [number for number in range(17) if bytes_[number] == others[number]]
    assert same == [2, 6, 10, 14]  # those that speak of the left


def test_other_features_lie_beside_them(build, dataset, features, encode):
    one = build()
    spec = dataset.spec(AugmentSpec(flip=False))
    other = cached_features(features, dataset.directory, dataset.manifest, spec, encode)
    assert one.directory.parent == other.directory.parent == features
    assert len(other.shards) == 3
    assert find_features(features, dataset.spec()) == one


def test_too_small_a_disk_is_refused_before_anything_is_written(
    build, features, dataset, monkeypatch
):
    monkeypatch.setattr(writer, "free_bytes", lambda directory: 97_279)
    with pytest.raises(UserError) as raised:
        build()
    # 80 views of 4 * 4 * 3 floats and 1,024 bytes beside them.
    assert str(raised.value) == (
        f"the features take 97,280 more bytes, 97,279 are free at {features}: give "
        "--feature-cache on another disk, or encode with --encoder-on pipeline"
    )
    assert contents(features / dataset.spec().digest()) == {}


def test_what_is_written_already_needs_no_room(build, monkeypatch):
    directory = build().directory
    (directory / "manifest.json").unlink()
    monkeypatch.setattr(writer, "free_bytes", lambda directory: 0)
    build()


def test_the_room_of_a_directory_that_is_not_there_is_that_of_its_disk(tmp_path):
    there, not_yet = free_bytes(tmp_path), free_bytes(tmp_path / "a" / "b")
    assert abs(there - not_yet) < 1e9


def test_a_disk_that_fills_up_is_one_line_and_keeps_what_is_finished(
    build, features, dataset, monkeypatch
):
    write_records, calls = writer.write_records, []

    def filling(file, payloads):
        calls.append(file.name != os.devnull)
        if sum(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_records(file, payloads)

    monkeypatch.setattr(writer, "write_records", filling)
    with pytest.raises(UserError, match=r"^[^\n]*No space left on device[^\n]*goes on[^\n]*$"):
        build()
    assert len(contents(features / dataset.spec().digest())) == 4  # two shards, two indexes


def test_damage_of_the_stored_features_is_one_line_with_its_place_and_the_remedy(build, ids):
    cache = build()
    for shard in cache.shards[2::3]:  # in both views
        content = bytearray(shard.read_bytes())
        content[len(content) // 2] ^= 1
        shard.write_bytes(content)
    for order in (Order(1, 0), None):
        with pytest.raises(UserError) as raised, cache.damage_named():
            list(cache.batches(ids, 6, 8, order))
        assert re.fullmatch(
            rf"{cache.directory}/tiny-train_view[01]\.tfrecord-00002-of-00003: record 11 at byte "
            rf"\d+: does not match its checksums: delete {cache.directory}, and the features are "
            "written anew",
            str(raised.value),
        )


def test_damage_of_other_files_passes(build):
    cache = build()
    for error in (
        tf.errors.UnknownError(None, None, "CorruptRecord: /data/x: record 1 at byte 2: is cut"),
        tf.errors.InternalError(None, None, "a bug"),
        UserError("another mistake"),
    ):
        with pytest.raises(type(error)) as raised, cache.damage_named():
            raise error
        assert raised.value is error


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda path: (path / "manifest.json").write_text("{}"), "is no manifest of features"),
        (
            lambda path: (path / "tiny-train_view0.tfrecord-00002-of-00003").unlink(),
            "tiny-train_view0.tfrecord-00002-of-00003 is missing",
        ),
        (
            lambda path: (path / "tiny-train_view1.index-00000-of-00003").write_bytes(bytes(8)),
            "another SHA-256 of tiny-train_view1.index-00000-of-00003",
        ),
        (
            lambda path: (path / "tiny-train_view1.tfrecord-00000-of-00003").write_bytes(b""),
            "bytes of tiny-train_view1.tfrecord-00000-of-00003, which has 0",
        ),
    ],
)
def test_stored_features_that_are_not_as_written_are_refused(build, change, problem):
    directory = build().directory
    change(directory)
    with pytest.raises(UserError, match=re.escape(problem)) as raised:
        build()
    remedy = f": delete {directory}, and the features are written anew"
    assert str(raised.value).endswith(remedy)


def test_features_under_the_key_of_others_are_refused(build, dataset, features, encode):
    spec = dataset.spec(AugmentSpec(flip=False))
    build().directory.rename(features / spec.digest())
    with pytest.raises(UserError, match="holds features of another kind: delete"):
        cached_features(features, dataset.directory, dataset.manifest, spec, encode)


def test_the_directory_of_something_else_is_refused(build, dataset, features):
    with pytest.raises(UserError, match=rf"{dataset.directory} holds tiny-train\.index"):
        build(dataset.directory)
    assert not (dataset.directory / dataset.spec().digest()).exists()
    features.write_text("")
    with pytest.raises(UserError, match=f"{features} is a file"):
        build()


def test_what_does_not_belong_into_an_unfinished_cache_is_refused(build, features, dataset):
    directory = features / dataset.spec().digest()
    directory.mkdir(parents=True)
    (directory / "notes.txt").write_text("")
    with pytest.raises(UserError, match=r"holds notes\.txt"):
        build()


def test_a_damaged_record_of_the_dataset_is_named(build, dataset, tmp_path, monkeypatch):
    copy = tmp_path / "tiny"
    shutil.copytree(dataset.directory, copy)
    shard = copy / dataset.manifest.split("train").shards[2].file
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"^{copy} is damaged \([^\n]*\)[^\n]*$"):
        cached_features(
            tmp_path / "features", copy, dataset.manifest, dataset.spec(), lambda images: images
        )
