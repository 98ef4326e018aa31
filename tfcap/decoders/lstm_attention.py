"""An LSTM decoder with gated attention over the feature map, after the recurrence.

Attention reads the hidden state and does not feed back into the recurrence, so that training is
parallel over the words of a caption: only the LSTM itself runs word by word.
"""

import dataclasses

import keras
import tensorflow as tf

from tfcap.decoders.attention import attend, cells, merge_heads, split_heads, weights_on_map
from tfcap.decoders.base import Decoder, DecoderSpec, State, product
from tfcap.decoders.packing import Packing
from tfcap.decoders.recurrence import lstm


@dataclasses.dataclass(frozen=True)
class LSTMAttentionSpec(DecoderSpec):
    """Sizes of the decoder.

    Attributes:
        kind: see `DecoderSpec`.
        units: width of the LSTM and of the attention.
        embedding: width of the word vectors, which also score the next word (tied weights).
        heads: attention heads.
        dropout: share of the outputs and of the picture's features that is dropped.
        embedding_dropout: share of the word vectors' values that is dropped.
        gate: whether the hidden state says how much of what is seen counts.
    """

    kind: str = dataclasses.field(default="lstm_attention", init=False)
    units: int = 512
    embedding: int = 256
    heads: int = 4
    dropout: float = 0.5
    embedding_dropout: float = 0.3
    gate: bool = True

    def __post_init__(self):
        if min(self.units, self.embedding, self.heads) < 1 or self.units % self.heads:
            raise ValueError(f"units must be a positive multiple of heads, got {self}")
        if not (0 <= self.dropout < 1 and 0 <= self.embedding_dropout < 1):
            raise ValueError(f"dropout shares must lie in [0, 1), got {self}")


class LSTMAttentionDecoder(Decoder):
    """See the module.

    State: said (h [N, U], c [N, U]), seen (keys [N, H, h * w, U / H], values likewise).
    """

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
        self.gate = dense(spec.units, activation="sigmoid") if spec.gate else None
        self.lstm = keras.layers.LSTM(spec.units, return_sequences=True)
        self.output_dropout = keras.layers.Dropout(spec.dropout)
        self.output_projection = dense(spec.embedding)

    def build(self, features_shape, words_shape=None):
        """Create all weights, for features [B, h, w, C]."""
        units = self.spec.units
        self.embedding.build(None)
        self.feature_norm.build((None, None, features_shape[-1]))
        self.memory.build((None, None, features_shape[-1]))
        for layer in (self.initial_h, self.initial_c, self.query):
            layer.build((None, units))
        if self.gate:
            self.gate.build((None, units))
        self.key.build((None, None, units))
        self.value.build((None, None, units))
        self.lstm.build((None, None, self.spec.embedding))
        self.output_projection.build((None, 2 * units))
        self.output_bias = self.add_weight(
            name="output_bias", shape=(self.vocabulary_size,), initializer="zeros"
        )
        self.built = True

    def start(self, features: tf.Tensor, training: bool = False) -> State:
        size = features.shape[1] * features.shape[2]
        memory = self.memory(self.feature_norm(cells(features)))
        memory = self.memory_dropout(memory, training=training)
        mean = tf.reduce_mean(tf.reshape(memory, [-1, size, self.spec.units]), axis=1)
        keys = split_heads(self.key(memory), size, self.spec.heads)
        values = split_heads(self.value(memory), size, self.spec.heads)
        return State((self.initial_h(mean), self.initial_c(mean)), (keys, values))

    def step(self, words, state):
        (h, c), (keys, values) = state
        _, (h, c) = self.lstm.cell(self.embedding(words), [h, c])
        queries = split_heads(self.query(h), 1, self.spec.heads)
        context = merge_heads(attend(queries, keys, values)[0])
        return self._outputs(h, context, training=False), state._replace(said=(h, c))

    def call(self, features, words, training=False):
        outputs, _ = self._read(features, words, training)
        return outputs

    def attend(self, features, words):
        _, weights = self._read(features, words, training=False)
        return weights_on_map(weights, features, words)

    def logits(self, outputs):
        # In float32, with the weights as they are.
        outputs = tf.cast(outputs, tf.float32)
        return product(outputs, self.embedding.embeddings, transpose=True) + self.output_bias

    def _read(self, features, words, training):
        """Return the outputs [B, K, T, D] and the attention weights [B, heads, K * T, h * w]."""
        (h, c), (keys, values) = self.start(features, training)
        batch, captions, length = tf.unstack(tf.shape(words))
        packing = Packing.of(tf.reshape(words, [-1, length]))
        vectors = self.embedding(packing.pack(tf.reshape(words, [-1])))
        vectors = self.embedding_dropout(vectors, training=training)
        h, c = tf.repeat(h, captions, axis=0), tf.repeat(c, captions, axis=0)
        hidden = lstm(self.lstm, vectors, packing, h, c)
        # All captions of a picture ask its one memory: K * T queries of each head.
        queries = packing.unpack(self.query(hidden))
        queries = split_heads(queries, captions * length, self.spec.heads)
        context, weights = attend(queries, keys, values)
        outputs = self._outputs(hidden, packing.pack(merge_heads(context)), training)
        shape = [batch, captions, length, self.spec.embedding]
        return tf.reshape(packing.unpack(outputs), shape), weights

    def _outputs(self, hidden, context, training):
        """Mix what was said (hidden) and what is seen (context, gated): [..., U] -> [..., D]."""
        seen = self.gate(hidden) * context if self.gate else context
        mixed = tf.concat([hidden, seen], axis=-1)
        return self.output_projection(self.output_dropout(mixed, training=training))
