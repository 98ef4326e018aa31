"""A Transformer decoder, as of TensorFlow's image captioning tutorial.

https://www.tensorflow.org/text/tutorials/image_captioning: token and position embeddings, then
layers of causal self-attention, cross-attention over the feature map and a feed-forward network,
each with a residual and then a LayerNorm. All captions of a picture share the keys and values of
its map; `step` keeps those of the words before.
"""

import dataclasses
import functools
from typing import NamedTuple

import keras
import tensorflow as tf

from tfcap.decoders.attention import attend, cells, merge_heads, split_heads, weights_on_map
from tfcap.decoders.base import Decoder, DecoderSpec, State
from tfcap.decoders.packing import Packing


@dataclasses.dataclass(frozen=True)
class TransformerSpec(DecoderSpec):
    """Sizes of the decoder; the defaults are the tutorial's.

    Attributes:
        kind: see `DecoderSpec`.
        layers: how often the words look at each other and at the picture.
        units: width of the word vectors and of each head.
        heads: attention heads.
        dropout: share of the attention weights and of the feed-forward outputs that is dropped.
        max_length: most words of a caption, <start> included.
    """

    kind: str = dataclasses.field(default="transformer", init=False)
    layers: int = 2
    units: int = 256
    heads: int = 2
    dropout: float = 0.5
    max_length: int = 50

    def __post_init__(self):
        if min(self.layers, self.units, self.heads, self.max_length) < 1:
            raise ValueError(f"layers, units, heads and max_length must be at least 1, got {self}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")


class Past(NamedTuple):
    """What a layer remembers of the words before, of N rows.

    Attributes:
        keys: float [N, H, max_length, U]; zero from the next word on.
        values: likewise.
    """

    keys: tf.Tensor
    values: tf.Tensor


class Attention(keras.layers.Layer):
    """The weights around one attention: projections, dropout, residual and LayerNorm."""

    def __init__(self, spec: TransformerSpec, **arguments):
        super().__init__(**arguments)
        self.units, self.heads = spec.units, spec.heads
        self.query, self.key, self.value = (
            keras.layers.Dense(spec.heads * spec.units) for _ in range(3)
        )
        self.mixed = keras.layers.Dense(spec.units)
        self.norm = keras.layers.LayerNormalization()
        self.dropout = keras.layers.Dropout(spec.dropout)

    def build(self, memory_shape):
        """Create all weights, for keys and values of vectors [..., C]."""
        self.query.build((None, self.units))
        self.key.build(memory_shape)
        self.value.build(memory_shape)
        self.mixed.build((None, self.heads * self.units))
        self.norm.build((None, self.units))
        self.built = True

    def add(self, vectors: tf.Tensor, mixed: tf.Tensor) -> tf.Tensor:
        """Return the vectors [W, U] with what the heads found for them [W, H * U]."""
        return self.norm(vectors + self.mixed(mixed))


class FeedForward(keras.layers.Layer):
    """A hidden layer of twice the width, dropout, residual and LayerNorm."""

    def __init__(self, spec: TransformerSpec, **arguments):
        super().__init__(**arguments)
        self.units = spec.units
        self.hidden = keras.layers.Dense(2 * spec.units, activation="relu")
        self.shown = keras.layers.Dense(spec.units)
        self.dropout = keras.layers.Dropout(spec.dropout)
        self.norm = keras.layers.LayerNormalization()

    def build(self, shape):
        self.hidden.build(shape)
        self.shown.build((None, 2 * self.units))
        self.norm.build(shape)
        self.built = True

    def call(self, vectors, training=False):
        shown = self.dropout(self.shown(self.hidden(vectors)), training=training)
        return self.norm(vectors + shown)


class TransformerDecoder(Decoder):
    """See the module.

    State: said (position int32 [N], a `Past` for each layer), seen (keys and values of the map,
    [N, H, h * w, U] each, for each layer).
    """

    def __init__(self, spec: TransformerSpec, vocabulary_size: int, **arguments):
        super().__init__(**arguments)
        self.spec = spec
        self.tokens = keras.layers.Embedding(vocabulary_size, spec.units)
        self.positions = keras.layers.Embedding(spec.max_length, spec.units)
        self.self_attentions = [Attention(spec) for _ in range(spec.layers)]
        self.cross_attentions = [Attention(spec) for _ in range(spec.layers)]
        self.feed_forwards = [FeedForward(spec) for _ in range(spec.layers)]
        self.output_layer = keras.layers.Dense(vocabulary_size)

    def build(self, features_shape, words_shape=None):
        """Create all weights, for features [B, h, w, C]."""
        units = (None, self.spec.units)
        self.tokens.build(None)
        self.positions.build(None)
        for attention in self.self_attentions:
            attention.build(units)
        for attention in self.cross_attentions:
            attention.build((None, features_shape[-1]))
        for feed_forward in self.feed_forwards:
            feed_forward.build(units)
        self.output_layer.build(units)
        self.built = True

    @property
    def word_vectors(self):
        return self.tokens.embeddings

    def start(self, features):
        rows, spec = tf.shape(features)[0], self.spec
        empty = tf.zeros([rows, spec.heads, spec.max_length, spec.units], self.compute_dtype)
        pasts = tuple(Past(empty, empty) for _ in range(spec.layers))
        return State((tf.zeros([rows], tf.int32), pasts), self._see(features))

    def step(self, words, state):
        (position, pasts), seen = state
        split = functools.partial(split_heads, length=1, heads=self.spec.heads)
        vectors = self.tokens(words) + self.positions(position)
        until_now = tf.range(self.spec.max_length) <= position[:, None, None, None]
        pasts_after = []
        for own, cross, feed_forward, past, picture in zip(
            *self._blocks(), pasts, seen, strict=True
        ):
            past = Past(
                _written(past.keys, own.key(vectors), position),
                _written(past.values, own.value(vectors), position),
            )
            mixed, _ = attend(split(own.query(vectors)), past.keys, past.values, until_now)
            vectors = own.add(vectors, merge_heads(mixed))
            mixed, _ = attend(split(cross.query(vectors)), *picture)
            vectors = feed_forward(cross.add(vectors, merge_heads(mixed)))
            pasts_after.append(past)
        return vectors, state._replace(said=(position + 1, tuple(pasts_after)))

    def call(self, features, words, training=False):
        outputs, _ = self._read(features, words, training)
        return outputs

    def attend(self, features, words):
        _, weights = self._read(features, words, training=False)
        return weights_on_map(tf.concat(weights, axis=1), features, words)

    def _blocks(self):
        return self.self_attentions, self.cross_attentions, self.feed_forwards

    def _see(self, features):
        """Return, for each layer, the keys and values of the map, [B, H, h * w, U] each."""
        size = features.shape[1] * features.shape[2]
        split = functools.partial(split_heads, length=size, heads=self.spec.heads)
        flat = cells(features)
        return [
            (split(cross.key(flat)), split(cross.value(flat))) for cross in self.cross_attentions
        ]

    def _read(self, features, words, training):
        """Return the outputs [B, K, T, U] and each layer's weights [B, H, K * T, h * w]."""
        batch, captions, length = tf.unstack(tf.shape(words))
        packing = Packing.of(tf.reshape(words, [-1, length]))
        vectors = self.tokens(packing.pack(tf.reshape(words, [-1])))
        vectors += self.positions(packing.places % length)
        causal = tf.range(length)[None] <= tf.range(length)[:, None]

        def split(packed, length):
            return split_heads(packing.unpack(packed), length, self.spec.heads)

        def look(attention, queries, keys, values, mask=None):
            dropout = functools.partial(attention.dropout, training=training)
            mixed, weights = attend(queries, keys, values, mask, dropout)
            return packing.pack(merge_heads(mixed)), weights

        all_weights = []
        for own, cross, feed_forward, seen in zip(
            *self._blocks(), self._see(features), strict=True
        ):
            projected = (layer(vectors) for layer in (own.query, own.key, own.value))
            each = [split(packed, length) for packed in projected]
            vectors = own.add(vectors, look(own, *each, causal)[0])
            # All captions of a picture ask its one map: K * T queries of each head.
            mixed, weights = look(cross, split(cross.query(vectors), captions * length), *seen)
            vectors = feed_forward(cross.add(vectors, mixed), training=training)
            all_weights.append(weights)
        shape = [batch, captions, length, self.spec.units]
        return tf.reshape(packing.unpack(vectors), shape), all_weights


def _written(buffer: tf.Tensor, vectors: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Write vectors [N, H * U] at each row's position [N] of a buffer [N, H, max_length, U]."""
    _, heads, length, units = buffer.shape
    rows = tf.shape(buffer)[0]
    places = tf.range(rows * heads) * length + tf.repeat(position, heads)
    written = tf.tensor_scatter_nd_update(
        tf.reshape(buffer, [-1, units]), places[:, None], tf.reshape(vectors, [-1, units])
    )
    return tf.reshape(written, [rows, heads, length, units])
