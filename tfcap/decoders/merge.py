"""The merge decoder of many public notebooks: an LSTM that has never seen the picture.

Tanti, Gatt & Camilleri 2018, "Where to put the Image in an Image Caption Generator": an LSTM reads
the words alone, a Dense layer the pooled features; both are added, and a last layer predicts the
next word. There the model is trained on a sample for each prefix of each caption. An LSTM meets
all prefixes of a caption on its way through it, so here one pass over the caption does the same.
"""

import dataclasses

import keras
import tensorflow as tf

from tfcap.decoders.base import Decoder, DecoderSpec, State
from tfcap.decoders.packing import Packing
from tfcap.decoders.recurrence import lstm


@dataclasses.dataclass(frozen=True)
class MergeSpec(DecoderSpec):
    """Sizes of the decoder; the defaults are the notebooks'.

    Attributes:
        kind: see `DecoderSpec`.
        units: width of all layers.
        embedding: width of the word vectors.
        dropout: share of the pooled features that is dropped.
        embedding_dropout: share of the word vectors' values that is dropped.
    """

    kind: str = dataclasses.field(default="merge", init=False)
    units: int = 256
    embedding: int = 256
    dropout: float = 0.3
    embedding_dropout: float = 0.3

    def __post_init__(self):
        if min(self.units, self.embedding) < 1:
            raise ValueError(f"units and embedding must be at least 1, got {self}")
        if not (0 <= self.dropout < 1 and 0 <= self.embedding_dropout < 1):
            raise ValueError(f"dropout shares must lie in [0, 1), got {self}")


class MergeDecoder(Decoder):
    """See the module.

    State: said (h [N, U], c [N, U]), seen [N, U].
    """

    def __init__(self, spec: MergeSpec, vocabulary_size: int, **arguments):
        super().__init__(**arguments)
        self.spec = spec
        self.embedding = keras.layers.Embedding(vocabulary_size, spec.embedding)
        self.embedding_dropout = keras.layers.Dropout(spec.embedding_dropout)
        self.feature_dropout = keras.layers.Dropout(spec.dropout)
        self.picture = keras.layers.Dense(spec.units, activation="relu")
        self.lstm = keras.layers.LSTM(spec.units, return_sequences=True)
        self.merged = keras.layers.Dense(spec.units, activation="relu")
        self.output_layer = keras.layers.Dense(vocabulary_size)

    def build(self, features_shape, words_shape=None):
        """Create all weights, for features [B, h, w, C]."""
        units = self.spec.units
        self.embedding.build(None)
        self.picture.build((None, features_shape[-1]))
        self.lstm.build((None, None, self.spec.embedding))
        self.merged.build((None, units))
        self.output_layer.build((None, units))
        self.built = True

    def start(self, features, training=False):
        pooled = tf.reduce_mean(tf.cast(features, self.compute_dtype), axis=[1, 2])
        seen = self.picture(self.feature_dropout(pooled, training=training))
        nothing = tf.zeros_like(seen)
        return State((nothing, nothing), seen)

    def step(self, words, state):
        _, (h, c) = self.lstm.cell(self.embedding(words), list(state.said))
        return self.merged(state.seen + h), state._replace(said=(h, c))

    def call(self, features, words, training=False):
        batch, captions, length = tf.unstack(tf.shape(words))
        (h, c), seen = tf.nest.map_structure(
            lambda tensor: tf.repeat(tensor, captions, axis=0), self.start(features, training)
        )
        packing = Packing.of(tf.reshape(words, [-1, length]))
        vectors = self.embedding(packing.pack(tf.reshape(words, [-1])))
        vectors = self.embedding_dropout(vectors, training=training)
        hidden = lstm(self.lstm, vectors, packing, h, c)
        outputs = self.merged(hidden + packing.pack(tf.repeat(seen, length, axis=0)))
        return tf.reshape(packing.unpack(outputs), [batch, captions, length, self.spec.units])

    def attend(self, features, words):
        return None
