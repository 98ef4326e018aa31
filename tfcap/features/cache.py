"""A feature cache: pictures encoded once, read in the place of the pictures ever after.

<directory>/<key>/                   the key is `FeatureSpec.digest()`
    flickr8k-train_view0.tfrecord-00000-of-00012, flickr8k-train_view0.index-00000-of-00012, ...
    manifest.json                    what the features are of; written last

Each view has shards of its own, so that an epoch reads no more than it shows. Record i of shard s
belongs to record i of shard s of the dataset: an `Order` means the same pictures in both. It is a
`tf.train.Example` and whole by itself: `image/filename`, `caption/text` (cleaned), `features/shape`
(h, w, C), and `features/float32`: the values, little-endian.
"""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from records.manifest import Manifest
from records.tfrecord import CorruptRecord
from tfcap.data import Order, Passes, read_records
from tfcap.data.batches import parse_captions
from tfcap.data.options import pipeline_options
from tfcap.features.manifest import FeatureManifest, damaged, load_features
from tfcap.features.spec import FeatureSpec
from tfcap.features.views import ViewOrder
from tfcap.features.writer import Encode, write_features
from tfcap.text import CaptionIds

# In the messages of TensorFlow, what reading says of damage.
_CORRUPT = re.compile(rf"{CorruptRecord.__name__}: (.+)")
_VALUES = {"features/float32": tf.io.FixedLenFeature([], tf.string)}


@dataclasses.dataclass(frozen=True)
class FeatureCache:
    """The stored features of one split.

    Attributes:
        directory: of its files.
        manifest: what they are.
    """

    directory: Path
    manifest: FeatureManifest

    @property
    def shards(self) -> list[Path]:
        """The TFRecord files: those of the first view in order, of the second, and so on."""
        return [self.directory / shard.file for shard in self.manifest.shards]

    def batches(
        self,
        ids: CaptionIds,
        max_words: int,
        batch_size: int,
        order: Order | Passes | None = None,
    ) -> tf.data.Dataset:
        """Return what `tfcap.data.encoded` makes of the split's `caption_batches`.

        Args:
            ids: the vocabulary in the graph.
            max_words: longer captions are cut.
            batch_size: pictures in a batch of all hosts together, of which this one reads its
                share; the last batch may have fewer.
            order: of an epoch of training, or of each pass; stored order, and the first view,
                without it.

        Returns:
            Batches of a dict: `features` float32 [B, h, w, C], `key` string [B], and `inputs` and
            `targets`, int32 [B, K, T].
        """
        spec = self.manifest.spec
        if order is None:
            shown = Passes(ViewOrder.of(None, spec))
        else:
            shown = Passes.of(order).seen_as(lambda order: ViewOrder.of(order, spec))

        def parse(_, serialized):
            record = tf.io.parse_example(serialized, _VALUES)
            values = tf.io.decode_raw(record["features/float32"], tf.float32)
            features = tf.reshape(values, [-1, *self.manifest.shape])
            return {"features": features, **parse_captions(serialized, ids, max_words)}

        records = read_records(self.shards, shown, batch_size)
        batches = records.batch(batch_size // shown.order.hosts)
        batches = batches.map(parse, num_parallel_calls=1)
        return batches.prefetch(2).with_options(pipeline_options())

    @contextlib.contextmanager
    def damage_named(self) -> Iterator[None]:
        """Turn the errors of these shards, while batches are read, into one line; others pass.

        Raises:
            UserError: instead of them.
        """
        try:
            yield
        except tf.errors.OpError as error:
            corrupt = _CORRUPT.search(error.message)
            if corrupt is None or not corrupt[1].startswith(f"{self.directory}{os.sep}"):
                raise
            raise damaged(corrupt[1], self.directory) from None


def find_features(directory: Path, spec: FeatureSpec) -> FeatureCache | None:
    """Return the stored features of a spec, None where nobody has written them to the end.

    Args:
        directory: of all caches.
        spec: what the features are of.

    Raises:
        UserError: they are damaged.
    """
    own = directory / spec.digest()
    manifest = load_features(own, spec)
    return FeatureCache(own, manifest) if manifest else None


def cached_features(
    directory: Path, dataset: Path, manifest: Manifest, spec: FeatureSpec, encode: Encode
) -> FeatureCache:
    """Return the stored features of a spec; writes them, or what is missing of them, if needed.

    Args:
        directory: of all caches; made if needed.
        dataset: directory of the records.
        manifest: of the dataset.
        spec: what the features are of.
        encode: uint8 [B, S, S, 3] to float32 [B, h, w, C], with the weights that the spec names.

    Raises:
        UserError: as `write_features` does; stored features are damaged.
    """
    own = directory / spec.digest()
    written = load_features(own, spec) or write_features(own, dataset, manifest, spec, encode)
    return FeatureCache(own, written)
