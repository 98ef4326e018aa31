"""From serialized records to batches of pictures and captions, and on to features.

A record carries all captions of its picture, so that all of them train against one encoding.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from records.pictures import PictureSpec
from tfcap.data.order import Order
from tfcap.data.reading import read_records
from tfcap.pictures import decode_picture, flip_at_random
from tfcap.text import CaptionIds, teacher_forcing

# The part of a record that training reads.
FEATURES = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/filename": tf.io.FixedLenFeature([], tf.string),
    "caption/text": tf.io.RaggedFeature(tf.string),
}


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
