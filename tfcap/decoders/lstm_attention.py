"""An LSTM decoder with gated attention over the feature map, after the recurrence.

Attention reads the hidden state and does not feed back into the recurrence, so that training is
parallel over the words of a caption: only the LSTM itself runs word by word.
"""

import dataclasses

import keras
import tensorflow as tf

from records.specs import Spec
from tfcap.decoders.base import Decoder


@dataclasses.dataclass(frozen=True)
class LSTMAttentionSpec(Spec):
    """Sizes of the decoder.

    Attributes:
        units: width of the LSTM and of the attention.
        embedding: width of the word vectors, which also score the next word (tied weights).
        heads: attention heads.
        dropout: share of the outputs and of the picture's features that is dropped.
        embedding_dropout: share of the word vectors' values that is dropped.
    """

    units: int = 512
    embedding: int = 256
    heads: int = 4
    dropout: float = 0.5
    embedding_dropout: float = 0.3

    def __post_init__(self):
        if min(self.units, self.embedding, self.heads) < 1 or self.units % self.heads:
            raise ValueError(f"units must be a positive multiple of heads, got {self}")
        if not (0 <= self.dropout < 1 and 0 <= self.embedding_dropout < 1):
            raise ValueError(f"dropout shares must lie in [0, 1), got {self}")


class LSTMAttentionDecoder(Decoder):
    """See the module. State: (h [N, U], c [N, U], keys [N, L, U], values [N, L, U])."""

    def __init__(self, spec: LSTMAttentionSpec, vocabulary_size: int, **arguments):
        super().__init__(**arguments)
        dense = keras.layers.Dense
        self.spec = spec
        self.vocabulary_size = vocabulary_size
        self.embedding = keras.layers.Embedding(
            vocabulary_size,
            spec.embedding,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=spec.embedding**-0.5),
        )
        self.embedding_dropout = keras.layers.Dropout(spec.embedding_dropout)
        self.feature_norm = keras.layers.LayerNormalization()
        self.memory = dense(spec.units, activation="relu")
        self.memory_dropout = keras.layers.Dropout(spec.dropout)
        self.initial_h = dense(spec.units, activation="tanh")
        self.initial_c = dense(spec.units, activation="tanh")
        self.query = dense(spec.units)
        self.key = dense(spec.units)
        self.value = dense(spec.units)
        self.gate = dense(spec.units, activation="sigmoid")
        self.lstm = keras.layers.LSTM(spec.units, return_sequences=True)
        self.output_dropout = keras.layers.Dropout(spec.dropout)
        self.output_projection = dense(spec.embedding)

    def build(self, features_shape, words_shape=None):
        """Create all weights, for features [B, h, w, C]."""
        units = self.spec.units
        self.embedding.build(None)
        self.feature_norm.build((None, None, features_shape[-1]))
        self.memory.build((None, None, features_shape[-1]))
        for layer in (self.initial_h, self.initial_c, self.query, self.gate):
            layer.build((None, units))
        self.key.build((None, None, units))
        self.value.build((None, None, units))
        self.lstm.build((None, None, self.spec.embedding))
        self.output_projection.build((None, 2 * units))
        self.output_bias = self.add_weight(
            name="output_bias", shape=(self.vocabulary_size,), initializer="zeros"
        )
        self.built = True

    def start(self, features: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, ...]:
        shape = tf.shape(features)
        flat = tf.reshape(features, [shape[0], shape[1] * shape[2], features.shape[-1]])
        memory = self.memory(self.feature_norm(flat))
        memory = self.memory_dropout(memory, training=training)
        mean = tf.reduce_mean(memory, axis=1)
        return self.initial_h(mean), self.initial_c(mean), self.key(memory), self.value(memory)

    def step(self, words, state):
        h, c, keys, values = state
        _, (h, c) = self.lstm.cell(self.embedding(words), [h, c])
        context = self._attend(h[:, None], keys, values)[:, 0]
        return self._outputs(h, context, training=False), (h, c, keys, values)

    def call(self, features, words, training=False):
        h, c, keys, values = self.start(features, training)
        captions, length = tf.shape(words)[1], tf.shape(words)[2]
        rows = tf.reshape(words, [-1, length])
        vectors = self.embedding_dropout(self.embedding(rows), training=training)
        initial = [tf.repeat(h, captions, axis=0), tf.repeat(c, captions, axis=0)]
        hidden = self.lstm(vectors, initial_state=initial)
        # All captions of a picture ask its one memory: [B, K * T, U] against [B, L, U].
        hidden = tf.reshape(hidden, [-1, captions * length, self.spec.units])
        context = self._attend(hidden, keys, values)
        outputs = self._outputs(hidden, context, training)
        return tf.reshape(outputs, [-1, captions, length, self.spec.embedding])

    def logits(self, outputs):
        # Not tf.matmul, whose broadcast of a matrix over a batch reads past its end with oneDNN
        # (TensorFlow 2.21, AVX-512): wrong values from the middle of the batch on.
        return tf.tensordot(outputs, self.embedding.embeddings, [[-1], [-1]]) + self.output_bias

    def _attend(self, hidden, keys, values):
        """Multi-head dot-product attention: hidden [N, Q, U] over [N, L, U]; gives [N, Q, U]."""
        heads, units = self.spec.heads, self.spec.units

        def split(tensor):  # [N, M, U] -> [N, heads, M, U / heads]
            parts = tf.reshape(tensor, [tf.shape(tensor)[0], -1, heads, units // heads])
            return tf.transpose(parts, [0, 2, 1, 3])

        scores = tf.matmul(split(self.query(hidden)), split(keys), transpose_b=True)
        weights = tf.nn.softmax(scores * (units // heads) ** -0.5)
        mixed = tf.transpose(tf.matmul(weights, split(values)), [0, 2, 1, 3])
        return tf.reshape(mixed, tf.shape(hidden))

    def _outputs(self, hidden, context, training):
        """Mix what was said (hidden) and what is seen (context, gated): [..., U] -> [..., D]."""
        seen = self.gate(hidden) * context
        mixed = tf.concat([hidden, seen], axis=-1)
        return self.output_projection(self.output_dropout(mixed, training=training))
