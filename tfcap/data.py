"""The input pipeline: shards of records to batches of features and captions.

    shards -> shuffled bytes -> parsed, decoded, squashed -> batch -> encoded -> prefetched

A record carries all captions of its picture, so that all of them train against one encoding.
"""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from records.errors import UserError
from records.index import load_index, read_record
from records.pictures import PictureSpec
from records.tfrecord import CorruptRecord
from tfcap.pictures import decode_picture, flip_at_random
from tfcap.text import CaptionIds, teacher_forcing

# The part of a record that training reads.
FEATURES = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/filename": tf.io.FixedLenFeature([], tf.string),
    "caption/text": tf.io.RaggedFeature(tf.string),
}

BLOCK = 64  # records that one call of Python reads
# In the messages of TensorFlow: an exception of Python, and what surrounds one of its own.
_CORRUPT = re.compile(rf"{CorruptRecord.__name__}: (.+)")
_SURROUNDINGS = re.compile(r"\{\{.*\}\} | \[Op:.*")


@dataclasses.dataclass(frozen=True)
class Order:
    """In which order an epoch reads its records, a pure function of (seed, epoch).

    Attributes:
        seed: of the run.
        epoch: counted from 0.
        skip: records at the beginning that were trained on before an interruption.
        flip: whether pictures are mirrored at random.
    """

    seed: int
    epoch: int
    skip: int = 0
    flip: bool = False

    def __post_init__(self):
        if min(self.seed, self.epoch, self.skip) < 0:
            raise ValueError(f"seed, epoch and skip must be at least 0, got {self}")

    def epoch_seed(self) -> int:
        """Return the seed of everything in this epoch that is drawn in the graph."""
        return int(tf.random.experimental.stateless_fold_in([self.seed, 0], self.epoch)[0])

    def permutation(self, records: int) -> np.ndarray:
        """Return int64 [records], all their numbers in the order of this epoch.

        They are sorted by random 64-bit numbers of Philox (Salmon et al. 2011, "Parallel Random
        Numbers: As Easy as 1, 2, 3"). Its raw numbers are the same in every version of NumPy, by
        NEP 19; those of `Generator.permutation` need not be.
        """
        random = np.random.Philox(np.random.SeedSequence((self.seed, self.epoch)))
        return np.argsort(random.random_raw(records), kind="stable")


def read_records(shards: Sequence[Path], order: Order | None = None) -> tf.data.Dataset:
    """Read TFRecord files as (position int64 [], serialized record string []).

    Without an order, records come as stored, from wherever TensorFlow can read. With one, all
    records of all shards are shuffled together and read by their indexes, which takes local
    files; the order, and what it skips, cost no reading, and 16 bytes of memory a record.

    Raises:
        UserError: with an order, where a shard or its index is missing or they do not fit.
    """
    names = [str(path) for path in shards]
    if order is None:
        return tf.data.TFRecordDataset(names).enumerate()
    indexes = [np.asarray(load_index(path), np.int64) for path in shards]
    counts = [len(index) - 1 for index in indexes]
    ends = np.cumsum(counts)  # records are numbered through all shards
    with tf.device("CPU"):
        permutation = tf.constant(order.permutation(sum(counts)))
        names, firsts, ends, offsets = map(
            tf.constant, (names, ends - counts, ends, np.concatenate(indexes))
        )

    def read_block(position):
        numbers = permutation[position : position + BLOCK]
        shard = tf.searchsorted(ends, numbers, side="right", out_type=tf.int64)
        # The indexes before this one each have an offset more than records: the shard's size.
        at = numbers + shard
        payloads = tf.numpy_function(
            _read_payloads,
            [
                tf.gather(names, shard),
                numbers - tf.gather(firsts, shard),
                tf.gather(offsets, at),
                tf.gather(offsets, at + 1),
            ],
            tf.string,
            stateful=False,
        )
        positions = position + tf.range(tf.size(numbers, tf.int64))
        return positions, tf.ensure_shape(payloads, [None])

    blocks = tf.data.Dataset.range(order.skip, len(permutation), BLOCK)
    return blocks.map(read_block, num_parallel_calls=tf.data.AUTOTUNE).unbatch()


@contextlib.contextmanager
def damage_named(dataset: str | Path) -> Iterator[None]:
    """Turn the errors of damaged and missing shards, while batches are read, into one line.

    Raises:
        UserError: instead of them.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.NotFoundError, tf.errors.UnknownError) as error:
        corrupt = _CORRUPT.search(error.message)
        if corrupt is None and isinstance(error, tf.errors.UnknownError):
            raise
        reason = corrupt[1] if corrupt else _SURROUNDINGS.sub("", error.message.splitlines()[0])
        raise UserError(f"{dataset} is damaged ({reason}): see `tfcap verify`") from None


def caption_batches(
    shards: Sequence[Path],
    picture: PictureSpec,
    ids: CaptionIds,
    max_words: int,
    batch_size: int,
    order: Order | None = None,
) -> tf.data.Dataset:
    """Read, parse, decode and batch records.

    Args:
        shards: TFRecord files.
        picture: how pictures become pixels.
        ids: the vocabulary in the graph.
        max_words: longer captions are cut.
        batch_size: pictures in a batch; the last one may have fewer.
        order: of an epoch of training; stored order without it.

    Returns:
        Batches of a dict: `image` uint8 [B, S, S, 3], `key` string [B], and `inputs` and
        `targets`, int32 [B, K, T], with K the most captions and T the longest caption in the
        batch; shorter and missing ones are <pad>.
    """
    seed = order.epoch_seed() if order else 0

    def parse(position, serialized):
        record = tf.io.parse_single_example(serialized, FEATURES)
        image = decode_picture(record["image/encoded"], picture)
        if order and order.flip:
            seeds = tf.stack([tf.cast(seed, tf.int64), position])
            image = flip_at_random(image, record["caption/text"], seeds)
        inputs, targets = teacher_forcing(ids.encode(record["caption/text"]), max_words)
        key = record["image/filename"]
        return {"image": image, "key": key, "inputs": inputs, "targets": targets}

    examples = read_records(shards, order).map(parse, num_parallel_calls=tf.data.AUTOTUNE)
    options = tf.data.Options()
    # With it, epochs ended 10 to 30 seconds after their last batch; losses are the same.
    options.autotune.enabled = False
    return examples.padded_batch(batch_size).with_options(options)


def encoded(batches: tf.data.Dataset, encoder: keras.Model) -> tf.data.Dataset:
    """Replace `image` by `features` float32 [B, h, w, C], and prefetch, to a GPU if there is one.

    The next batches are encoded while the current one trains.
    """

    def encode(batch):
        pixels = tf.cast(batch["image"], tf.float32)
        rest = {name: tensor for name, tensor in batch.items() if name != "image"}
        return {"features": encoder(pixels, training=False), **rest}

    features = batches.map(encode, num_parallel_calls=1, deterministic=True)
    if tf.config.list_logical_devices("GPU"):
        return features.apply(tf.data.experimental.prefetch_to_device("/GPU:0"))
    return features.prefetch(2)


# A function of the module, not a closure: TensorFlow keeps what `numpy_function` calls for ever.
def _read_payloads(
    names: np.ndarray, indexes: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """Read records, arrays [n] of their places; its one error names shard, record and byte."""
    payloads = []
    for name, index, start, end in zip(names, indexes, starts.tolist(), ends.tolist(), strict=True):
        shard = os.fsdecode(name)
        try:
            payloads.append(read_record(shard, index, start, end))
        except OSError as error:
            raise CorruptRecord(shard, index, start, error.strerror) from None
    return np.array(payloads, object)
