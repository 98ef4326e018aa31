"""A dataset small enough for a test, built without Beam, and an encoder that costs nothing."""

import dataclasses
import hashlib
from pathlib import Path

import pytest
import tensorflow as tf

from records.captions import CaptionSpec
from records.example import PictureRecord, encode_example
from records.index import encode_index
from records.manifest import Manifest, ShardInfo, SourceInfo, SplitInfo, Statistics
from records.pictures import PictureSpec
from records.shards import ShardName
from records.tfrecord import write_records
from tfcap.augment import AugmentSpec
from tfcap.features import EncoderIdentity, FeatureSpec

# Captions of the pictures, by turns: flips are forbidden in the third, and the fourth has none.
CAPTIONS = (("a dog runs", "a red dog"), ("a cat sits on the grass",), ("a dog on the left",), ())
SHARDS = (17, 0, 23)  # records of each
FLIPS = AugmentSpec(flip=True)
CELLS = EncoderIdentity("cells", 64, "0" * 64)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The directory of a dataset with its manifest."""

    directory: Path
    manifest: Manifest

    @property
    def shards(self) -> list[Path]:
        return self.manifest.shard_paths(self.directory, "train")

    def spec(self, augment=FLIPS, views=1, encoder=CELLS) -> FeatureSpec:
        return FeatureSpec.of(self.manifest, "train", encoder, augment, views)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory, jpeg) -> Dataset:
    """A split of three shards, the second without a record."""
    directory = tmp_path_factory.mktemp("data") / "tiny"
    directory.mkdir()
    infos, first = [], 0
    for index, count in enumerate(SHARDS):
        name = ShardName("tiny", "train", index, len(SHARDS))
        records = [picture_record(jpeg, number) for number in range(first, first + count)]
        infos.append(write_shard(directory, name, records))
        first += count
    manifest = Manifest(
        name="tiny",
        picture=PictureSpec(size=64),
        caption=CaptionSpec(),
        vocabulary_size=0,
        vocabulary_sha256="",
        split_infos={"train": SplitInfo(tuple(infos))},
        source=SourceInfo(sum(SHARDS), 0, "", 0),
        rejected=0,
        dead_letters={},
        statistics=Statistics({}, 0.0, 0),
    )
    return Dataset(directory, manifest)


@pytest.fixture
def features(tmp_path) -> Path:
    """Where caches go."""
    return tmp_path / "tiny.features"


def cells(images: tf.Tensor) -> tf.Tensor:
    """Encode pictures uint8 [B, 64, 64, 3] as a few of their pixels, float32 [B, 4, 4, 3]."""
    return tf.cast(images[:, 3::16, 3::16], tf.float32)


@pytest.fixture
def encode():
    """An encoder that costs nothing."""
    return cells


def picture_record(jpeg, number: int) -> PictureRecord:
    texts = CAPTIONS[number % len(CAPTIONS)]
    return PictureRecord(jpeg(number), 64, 64, f"{number:03}.jpg", "", "", texts, texts)


def write_shard(directory: Path, name: ShardName, records: list[PictureRecord]) -> ShardInfo:
    with (directory / str(name)).open("wb") as file:
        written = write_records(file, map(encode_example, records))
    index = encode_index(written.offsets)
    (directory / name.index_file).write_bytes(index)
    captions = sum(len(record.captions) for record in records)
    digest = hashlib.sha256(index).hexdigest()
    return ShardInfo(str(name), len(records), captions, written.bytes, written.sha256, digest)
