"""The files for TensorFlow Datasets follow from the manifest and name what a record holds."""

import json

from records.captions import CaptionSpec
from records.example import PictureRecord, encode_example
from records.manifest import Manifest, ShardInfo, SourceInfo, SplitInfo, Statistics
from records.pictures import PictureSpec
from records.shards import ShardName
from records.tfds import TFDS_FILES, tfds_files


def manifest(**lengths):
    """Return a manifest of splits whose shards have so many records."""
    splits = {
        split: SplitInfo(
            tuple(
                ShardInfo(str(ShardName("tiny", split, index, len(counts))), n, n, 10 * n, "a", "b")
                for index, n in enumerate(counts)
            )
        )
        for split, counts in lengths.items()
    }
    return Manifest(
        name="tiny",
        picture=PictureSpec(),
        caption=CaptionSpec(),
        vocabulary_size=4,
        vocabulary_sha256="c",
        split_infos=splits,
        source=SourceInfo(0, 0, "d", 0),
        rejected=0,
        dead_letters={},
        statistics=Statistics({}, 0.0, 0),
    )


def parsed(**lengths):
    files = tfds_files(manifest(**lengths))
    assert tuple(files) == TFDS_FILES
    return [json.loads(files[file]) for file in TFDS_FILES]


def test_every_split_has_the_lengths_of_its_shards_in_order():
    info, _ = parsed(val=[3], train=[2, 0, 5])
    assert [split["name"] for split in info["splits"]] == ["train", "val"]
    assert [split["shardLengths"] for split in info["splits"]] == [["2", "0", "5"], ["3"]]
    assert [split["numBytes"] for split in info["splits"]] == ["70", "30"]


def test_the_template_gives_the_names_of_the_shards():
    info, _ = parsed(train=[1, 1])
    name = info["splits"][0]["filepathTemplate"].format(
        DATASET=info["name"],
        SPLIT="train",
        FILEFORMAT=info["fileFormat"],
        SHARD_X_OF_Y="00001-of-00002",
    )
    assert name == str(ShardName("tiny", "train", 1, 2))


def test_the_features_are_those_of_a_record():
    import tensorflow as tf

    _, features = parsed(train=[1])
    record = PictureRecord(b"jpeg", 1, 1, "a.jpg", "a", "0" * 64, ("A dog.",), ("a dog",))
    example = tf.train.Example.FromString(encode_example(record)).features.feature
    described = features["featuresDict"]["features"]
    assert set(described) == set(example)
    for name, feature in described.items():
        is_number = feature.get("tensor", {}).get("dtype") == "int64"
        assert is_number == (example[name].WhichOneof("kind") == "int64_list")


def test_equal_manifests_give_equal_files_and_others_another_info():
    one, same, other = manifest(train=[1]), manifest(train=[1]), manifest(train=[2])
    assert tfds_files(one) == tfds_files(same)
    assert tfds_files(one)[TFDS_FILES[0]] != tfds_files(other)[TFDS_FILES[0]]
    assert one.fingerprint in tfds_files(one)[TFDS_FILES[0]]
