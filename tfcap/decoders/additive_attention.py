"""Additive attention over the cells of a map, and the decoders that look by it.

Bahdanau, Cho & Bengio 2015, "Neural Machine Translation by Jointly Learning to Align and
Translate", https://arxiv.org/abs/1409.0473, appendix A.1.2.
"""

import dataclasses
from typing import NamedTuple

import keras
import tensorflow as tf

from tfcap.decoders.attention import cells
from tfcap.decoders.recurrent import RecurrentDecoder, RecurrentSpec


@dataclasses.dataclass(frozen=True)
class AttentiveSpec(RecurrentSpec):
    """Sizes of a recurrent decoder with additive attention.

    Attributes:
        attention: width in which cells and what was said are compared; see `RecurrentSpec` for
            the others.
    """

    attention: int = 256

    def __post_init__(self):
        super().__post_init__()
        if self.attention < 1:
            raise ValueError(f"attention must be at least 1, got {self}")


class AdditiveAttention(keras.layers.Layer):
    """Scores what could be looked at: w . tanh(W_k memory + b + W_q query).

    Args:
        width: of the comparison, A.
    """

    def __init__(self, width: int, **arguments):
        super().__init__(**arguments)
        self.key = keras.layers.Dense(width)
        self.query = keras.layers.Dense(width, use_bias=False)
        self.score = keras.layers.Dense(1, use_bias=False)

    def build(self, shape):
        """Create all weights, for memory and queries of vectors [..., U]."""
        self.key.build(shape)
        self.query.build(shape)
        self.score.build((None, None, self.key.units))
        self.built = True

    def scores(self, queries: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """Score M vectors of each row, float32 [N, M]; their softmax are the weights.

        Args:
            queries: float [N, A], by `query`.
            keys: float [N, M, A], by `key`.
        """
        scores = self.score(tf.tanh(keys + queries[:, None]))
        return tf.cast(scores[:, :, 0], tf.float32)


def mix(weights: tf.Tensor, memory: tf.Tensor) -> tf.Tensor:
    """Return the sum [N, U] of memories [N, M, U] by weights, float32 [N, M]."""
    return tf.matmul(tf.cast(weights, memory.dtype)[:, None], memory)[:, 0]


class Said(NamedTuple):
    """What follows from the words so far.

    Attributes:
        cell: states of the recurrence, float [N, U] each, the hidden one first.
        context: what the decoder has found for the next word, float [N, U].
        weights: of the map's cells where it has looked for it, float32 [N, h * w], 1 in sum; all 0
            before the first word.
    """

    cell: tuple[tf.Tensor, ...]
    context: tf.Tensor
    weights: tf.Tensor


class Seen(NamedTuple):
    """What can be looked at.

    Attributes:
        memory: float [N, h * w, U], the cells.
        keys: float [N, h * w, A], what they are found by.
    """

    memory: tf.Tensor
    keys: tf.Tensor


class AttentiveDecoder(RecurrentDecoder):
    """A recurrent decoder that looks at the map for each word; `said` is `Said`."""

    def __init__(self, spec: AttentiveSpec, vocabulary_size: int, **arguments):
        super().__init__(spec, vocabulary_size, **arguments)
        self.feature_norm = keras.layers.LayerNormalization()
        self.memory = keras.layers.Dense(spec.units, activation="relu")
        self.memory_dropout = keras.layers.Dropout(spec.dropout)
        self.attention = AdditiveAttention(spec.attention)

    def build(self, features_shape, words_shape=None):
        """Create the weights of these layers, for features [B, h, w, C]."""
        units, embedding = self.spec.units, self.spec.embedding
        self.embedding.build(None)
        self.feature_norm.build((None, None, features_shape[-1]))
        self.memory.build((None, None, features_shape[-1]))
        self.attention.build((None, None, units))
        self.cell.build((None, embedding + units))
        self.built = True

    def normalised(self, features: tf.Tensor) -> tf.Tensor:
        """Return LayerNorm of each cell of maps [N, h, w, C], as [N, h * w, C]."""
        size = features.shape[1] * features.shape[2]
        return tf.reshape(self.feature_norm(cells(features)), [-1, size, features.shape[-1]])

    def see(self, normalised: tf.Tensor, training: bool) -> Seen:
        """Make the memory of normalised cells [N, h * w, C]: ReLU(W x + b)."""
        memory = self.memory_dropout(self.memory(normalised), training=training)
        return Seen(memory, self.attention.key(memory))

    def nothing_said(self, cell: tuple[tf.Tensor, ...], seen: Seen) -> Said:
        """Return what is said before the first word, given the recurrence's first states."""
        return Said(cell, tf.zeros_like(cell[0]), tf.zeros_like(seen.memory[:, :, 0], tf.float32))

    def attend(self, features, words):
        _, said, packing = self._read(features, words, training=False)
        shape = tf.concat([tf.shape(words), tf.shape(features)[1:3]], axis=0)
        return tf.reshape(packing.unpack(said.weights), shape)
