"""An LSTM decoder with gated attention over the feature map, after the recurrence.

Attention reads the hidden state and does not feed back into the recurrence, so that training is
parallel over the words of a caption: only the LSTM itself runs word by word.
"""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from tfcap.decoders.attention import attend, cells, merge_heads, split_heads, weights_on_map
from tfcap.decoders.base import Decoder, DecoderSpec, State, product
from tfcap.decoders.packing import Packing
from tfcap.decoders.recurrence import lstm, lstm_gates, packed_sums


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
        vectors, cell = self.embedding(words), self.lstm.cell
        return self.advance(_times(vectors, cell.kernel) + tf.cast(cell.bias, vectors.dtype), state)

    def advance(self, inputs: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """Do a `step` by what the words add to the sums of the gates, [N, 4U]."""
        (h, c), (keys, values) = state
        h, c = lstm_gates(inputs + _times(h, self.lstm.cell.recurrent_kernel), c)
        queries = split_heads(self.query(h), 1, self.spec.heads)
        context = merge_heads(attend(queries, keys, values)[0])
        return self._outputs(h, context, training=False), state._replace(said=(h, c))

    def for_search(self):
        return LSTMAttentionTables(self)

    def call(self, features, words, training=False):
        return self._read(features, words, training)[0]

    def attend(self, features, words):
        _, weights = self._read(features, words, training=False)
        return weights_on_map(weights, features, words)

    def logits(self, outputs):
        # In float32, with the weights as they are.
        outputs = tf.cast(outputs, tf.float32)
        return product(outputs, self.embedding.embeddings, transpose=True) + self.output_bias

    def _read(self, features, words, training):
        """Return the outputs [B, K, T, D] and the attention weights [B, heads, K * T, h * w]."""

        def recurrence(words, packing, h, c):
            vectors = self.embedding_dropout(self.embedding(words), training=training)
            return lstm(self.lstm, vectors, packing, h, c)

        return self.read_by(recurrence, features, words, training)

    def read_by(
        self,
        recurrence: Callable[..., tf.Tensor],
        features: tf.Tensor,
        words: tf.Tensor,
        training: bool,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Read whole captions by a recurrence.

        Args:
            recurrence: from words [W], their packing and the first states h and c to the hidden
                states [W, U].
            features: float [B, h, w, C].
            words: int32 [B, K, T].
            training: whether dropout is on.

        Returns:
            (outputs [B, K, T, D], attention weights [B, heads, K * T, h * w]).
        """
        (h, c), (keys, values) = self.start(features, training)
        batch, captions, length = tf.unstack(tf.shape(words))
        packing = Packing.of(tf.reshape(words, [-1, length]))
        h, c = tf.repeat(h, captions, axis=0), tf.repeat(c, captions, axis=0)
        hidden = recurrence(packing.pack(tf.reshape(words, [-1])), packing, h, c)
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


class LSTMAttentionTables(Decoder):
    """The decoder for captions word by word, with two products of its weights made before.

    A table of every word's part of the sums of the gates, [V, 4U], in the place of the word vectors
    and what multiplies them; and the word vectors transposed, [D, V], as scores are made with them:
    as they are, that product takes up to 1.7 times as long on a CPU.
    """

    def __init__(self, decoder: LSTMAttentionDecoder, **arguments):
        """Take a decoder that is built and keeps its weights."""
        super().__init__(**arguments)
        self.decoder = decoder
        vectors, cell = decoder.embedding.embeddings, decoder.lstm.cell
        self._replaced = {id(each) for each in (vectors, cell.kernel, cell.bias)}
        self.inputs = self._table("inputs", tf.matmul(vectors, cell.kernel) + cell.bias)
        self.scores = self._table("scores", tf.transpose(vectors))
        self.built = True

    @property
    def variables(self):
        return [each for each in super().variables if id(each) not in self._replaced]

    def start(self, features):
        return self.decoder.start(features)

    def step(self, words, state):
        return self.decoder.advance(self._inputs_of(words), state)

    def call(self, features, words, training=False):
        return self._read(features, words)[0]

    def attend(self, features, words):
        return weights_on_map(self._read(features, words)[1], features, words)

    def logits(self, outputs):
        return product(tf.cast(outputs, tf.float32), self.scores) + self.decoder.output_bias

    def _read(self, features, words):
        def recurrence(words, packing, h, c):
            return packed_sums(self.decoder.lstm, self._inputs_of(words), packing, h, c)

        return self.decoder.read_by(recurrence, features, words, training=False)

    def _inputs_of(self, words: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.convert_to_tensor(self.inputs), words)

    def _table(self, name: str, values: tf.Tensor) -> keras.Variable:
        table = self.add_weight(name=name, shape=values.shape, trainable=False)
        table.assign(values)
        return table


def _times(vectors: tf.Tensor, weights: keras.Variable) -> tf.Tensor:
    """Return the product of vectors [N, D] and weights [D, U], in the vectors' type."""
    return tf.matmul(vectors, tf.cast(weights, vectors.dtype))
