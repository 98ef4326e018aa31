"""Real records in memory, and what reads them: the ground that every stage is measured on."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from records.manifest import VOCABULARY, Manifest, load_manifest
from records.vocabulary import Vocabulary
from tfcap.data import Order, damage_named, read_records
from tfcap.text import CaptionIds

# The parts of a record that are counted and measured here.
_PARTS = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "caption/text": tf.io.RaggedFeature(tf.string),
}
SPLIT = "train"


@dataclasses.dataclass(frozen=True)
class Sample:
    """The last records of the training split in the order of an epoch.

    The last, so that reading them ends with them: what is read ahead of the first ones, and thrown
    away, would count.

    Attributes:
        directory: of the dataset.
        manifest: of the dataset.
        shards: TFRecord files of the whole split.
        order: of an epoch, which leaves out all others.
        vocabulary: its words.
        serialized: string [n], the records as they are stored.
        jpegs: string [n], their pictures.
        captions: how many the n records hold.
        needs_resize: whether some picture is stored in another size than the encoder's.
    """

    directory: Path
    manifest: Manifest
    shards: Sequence[Path]
    order: Order
    vocabulary: Vocabulary
    serialized: tf.Tensor
    jpegs: tf.Tensor
    captions: int
    needs_resize: bool

    @property
    def pictures(self) -> int:
        """How many records it holds."""
        return len(self.serialized)

    @property
    def ids(self) -> CaptionIds:
        """The vocabulary in the graph."""
        return CaptionIds(self.vocabulary)


def load_sample(directory: Path, pictures: int) -> Sample:
    """Read up to so many records of a dataset.

    Raises:
        UserError: there is no dataset or no training split in it, or it is damaged.
    """
    manifest = load_manifest(directory)
    shards = manifest.shard_paths(directory, SPLIT)
    with damage_named(directory):
        order = Order(seed=1, epoch=0, skip=max(0, manifest.records(SPLIT) - pictures))
        serialized = tf.stack([record for _, record in read_records(shards, order)])
    parsed = tf.io.parse_example(serialized, _PARTS)
    jpegs = parsed["image/encoded"]
    side = manifest.picture.size
    shapes = {tuple(tf.io.extract_jpeg_shape(jpeg)[:2].numpy()) for jpeg in jpegs}
    return Sample(
        directory=directory,
        manifest=manifest,
        shards=shards,
        order=order,
        vocabulary=Vocabulary.read(directory / VOCABULARY),
        serialized=serialized,
        jpegs=jpegs,
        captions=int(tf.size(parsed["caption/text"].flat_values)),
        needs_resize=shapes != {(side, side)},
    )
