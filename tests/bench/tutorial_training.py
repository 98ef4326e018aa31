"""Peer: the way of TensorFlow's tutorial "Image captioning with visual attention".

Features are computed before and cached with the captions by `Dataset.save`, one caption and one
copy of the feature map a sample, in 10 shards. They are read back by an interleave of 2 shards,
shuffled in a buffer of 1,000, padded and batched by 32 captions. The decoder: token and position
embeddings of 256, two layers of causal self-attention, cross-attention over the feature map and a
feed-forward layer (2 heads of 256, dropout 0.5, normalised after each), a dense layer over the
vocabulary with a fixed bias that starts from the words' frequencies. `model.fit` with Adam 1e-4, a
masked cross-entropy and a masked accuracy.

Captions a second. The same pictures, captions, vocabulary and feature maps as ours. What differs
from ours: the accuracy (one argmax over the vocabulary), neither label smoothing nor clipping nor
weight decay; ours reads each feature map once for all captions of its picture. The tutorial takes
32 captions a step; with --batch-size 160 it is as many as ours takes (32 pictures).

Example:
  python tests/bench/tutorial_training.py --features features.npy --captions captions.json
"""

import tempfile
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras_timing import Timing
from shared_captions import Captioned, Stopwatch, load, parse_arguments

UNITS, HEADS, LAYERS, DROPOUT = 256, 2, 2, 0.5
SHARDS, SHUFFLE, POSITIONS = 10, 1000, 50
BANNED = (0, 1, 2)  # <pad>, <unk>, <start>
IMPOSSIBLE = -1e9


def save_samples(shared: Captioned, path: Path) -> None:
    """Cache ((features, input ids), label ids), a sample for each caption."""

    def samples():
        for features, captions in zip(shared.features, shared.captions, strict=True):
            for caption in captions:
                yield (features, caption[:-1]), caption[1:]

    ids = tf.TensorSpec([None], tf.int32)
    map_ = tf.TensorSpec(shared.features.shape[1:], tf.float32)
    dataset = tf.data.Dataset.from_generator(samples, output_signature=((map_, ids), ids))
    shuffled = dataset.shuffle(SHUFFLE).enumerate()
    shuffled.save(str(path), shard_func=lambda number, sample: number % SHARDS)


def load_samples(path: Path, batch_size: int) -> tf.data.Dataset:
    """Read the cached samples back, in batches, again and again."""

    def interleaved(shards):
        return shards.shuffle(1000).interleave(lambda shard: shard, cycle_length=2)

    samples = tf.data.Dataset.load(str(path), reader_func=interleaved)
    samples = samples.map(lambda number, sample: sample, tf.data.AUTOTUNE).shuffle(SHUFFLE)
    return samples.padded_batch(batch_size).prefetch(tf.data.AUTOTUNE).repeat()


class DecoderLayer(keras.layers.Layer):
    """Self-attention, cross-attention and feed-forward, each added and normalised."""

    def __init__(self):
        super().__init__()
        layers, attention = keras.layers, keras.layers.MultiHeadAttention
        self.self_attention = attention(HEADS, UNITS, dropout=DROPOUT)
        self.cross_attention = attention(HEADS, UNITS, dropout=DROPOUT)
        self.feed_forward = keras.Sequential(
            [
                layers.Dense(2 * UNITS, activation="relu"),
                layers.Dense(UNITS),
                layers.Dropout(DROPOUT),
            ]
        )
        self.norms = [layers.LayerNormalization() for _ in range(3)]

    def call(self, words, seen, training=False):
        heard = self.self_attention(words, words, use_causal_mask=True, training=training)
        words = self.norms[0](words + heard)
        words = self.norms[1](words + self.cross_attention(words, seen, training=training))
        return self.norms[2](words + self.feed_forward(words, training=training))


class TutorialDecoder(keras.Model):
    """(features [B, h, w, C], ids [B, T]) to logits [B, T, V]."""

    def __init__(self, shared: Captioned):
        super().__init__()
        self.tokens = keras.layers.Embedding(shared.words, UNITS, mask_zero=True)
        self.positions = keras.layers.Embedding(POSITIONS, UNITS)
        self.stack = [DecoderLayer() for _ in range(LAYERS)]
        self.output_layer = keras.layers.Dense(shared.words)
        self.word_bias = tf.constant(_log_frequencies(shared))

    def call(self, inputs, training=False):
        features, ids = inputs
        seen = tf.reshape(features, [tf.shape(features)[0], -1, features.shape[-1]])
        words = self.tokens(ids) + self.positions(tf.range(tf.shape(ids)[1])[None])
        for layer in self.stack:
            words = layer(words, seen, training=training)
        return self.output_layer(words) + self.word_bias


def _log_frequencies(shared: Captioned) -> np.ndarray:
    words = (word for captions in shared.captions for text in captions for word in text[1:])
    counts = Counter(words)
    for word in BANNED:
        del counts[word]
    bias = np.full(shared.words, IMPOSSIBLE, np.float32)
    bias[list(counts)] = np.log(np.array(list(counts.values())) / counts.total())
    return bias


def masked_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return the mean cross-entropy of the words that are no padding and not banned."""
    labels = tf.cast(labels, tf.int32)  # `fit` hands them over as float
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    counts = tf.cast((labels != 0) & (losses < 1e8), losses.dtype)
    return tf.reduce_sum(losses * counts) / tf.reduce_sum(counts)


def masked_accuracy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return the share of the words, padding left out, that are the likeliest."""
    counts = tf.cast(labels != 0, tf.float32)
    hits = tf.argmax(logits, axis=-1) == tf.cast(labels, tf.int64)
    return tf.reduce_sum(tf.cast(hits, tf.float32) * counts) / tf.reduce_sum(counts)


def main() -> None:
    arguments = parse_arguments(__doc__).parse_args()
    shared = load(arguments)
    watch = Stopwatch(arguments.seconds)
    model = TutorialDecoder(shared)
    optimizer = keras.optimizers.Adam(learning_rate=1e-4)
    model.compile(optimizer=optimizer, loss=masked_loss, metrics=[masked_accuracy])
    with tempfile.TemporaryDirectory(prefix="tutorial-") as name:
        save_samples(shared, Path(name) / "cache")
        samples = load_samples(Path(name) / "cache", arguments.batch_size)
        timing = Timing(watch, arguments.batch_size)
        model.fit(samples, steps_per_epoch=10**9, callbacks=[timing], verbose=0)
    watch.report(parameters=model.count_params())


if __name__ == "__main__":
    main()
