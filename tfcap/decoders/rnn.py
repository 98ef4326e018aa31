"""A recurrent decoder without attention: it begins with the picture, and never sees it again.

Vinyals et al. 2015, "Show and Tell", https://arxiv.org/abs/1411.4555, but for where the picture
comes in: there it is read as if it were the first word, here it makes the first state.
"""

import dataclasses

import keras
import tensorflow as tf

from tfcap.decoders.base import State
from tfcap.decoders.recurrent import FirstState, RecurrentDecoder, RecurrentSpec


@dataclasses.dataclass(frozen=True)
class RNNSpec(RecurrentSpec):
    """Sizes of the decoder.

    Attributes:
        kind: see `DecoderSpec`, and `RecurrentSpec` for the others.
    """

    kind: str = dataclasses.field(default="rnn", init=False)


class RNNDecoder(RecurrentDecoder):
    """See the module.

    State: said (the cell's states, [N, U] each, the hidden one first), seen ().
    """

    def __init__(self, spec: RNNSpec, vocabulary_size: int, **arguments):
        super().__init__(spec, vocabulary_size, **arguments)
        self.feature_norm = keras.layers.LayerNormalization()
        self.feature_dropout = keras.layers.Dropout(spec.dropout)
        self.first_state = FirstState(self.cell)

    def build(self, features_shape, words_shape=None):
        """Create all weights, for features [B, h, w, C]."""
        pooled = (None, features_shape[-1])
        self.embedding.build(None)
        self.feature_norm.build(pooled)
        self.first_state.build(pooled)
        self.cell.build((None, self.spec.embedding))
        self.output_layer.build((None, self.spec.units))
        self.built = True

    def start(self, features, training=False):
        pooled = tf.reduce_mean(tf.cast(features, self.compute_dtype), axis=[1, 2])
        pooled = self.feature_dropout(self.feature_norm(pooled), training=training)
        return State(self.first_state(pooled), ())

    def advance(self, vectors, state):
        _, states = self.cell(vectors, list(state.said))
        return tuple(states)

    def outputs_of(self, vectors, said):
        return said[0]

    def attend(self, features, words):
        return None
