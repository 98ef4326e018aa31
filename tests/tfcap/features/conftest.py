"""A dataset small enough for a test, built without Beam, and an encoder that costs nothing."""

import dataclasses
from pathlib import Path

import pytest
import tensorflow as tf
from by_hand import make_manifest, write_shard

from records.example import PictureRecord
from records.manifest import Manifest
from records.pictures import PictureSpec
from records.shards import ShardName
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
    return Dataset(directory, make_manifest({"train": infos}, picture=PictureSpec(size=64)))


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
