"""A recurrent decoder with soft attention inside the recurrence.

Bahdanau, Cho & Bengio 2015, https://arxiv.org/abs/1409.0473, on pictures as in Xu et al. 2015,
"Show, Attend and Tell", https://arxiv.org/abs/1502.03044: the state before a word decides where to
look, and what is found there enters the recurrence together with the word. The cells' features
are normalised and projected first, as networks of very different ranges encode pictures here.
"""

import dataclasses
from typing import ClassVar

import keras
import tensorflow as tf

from tfcap.decoders.additive_attention import AttentiveDecoder, AttentiveSpec, Said, mix
from tfcap.decoders.base import State
from tfcap.decoders.recurrent import FirstState


@dataclasses.dataclass(frozen=True)
class BahdanauSpec(AttentiveSpec):
    """Sizes of the decoder.

    Attributes:
        kind: see `DecoderSpec`, and `AttentiveSpec` for the others.
    """

    cells: ClassVar[tuple[str, ...]] = ("lstm", "gru")
    kind: str = dataclasses.field(default="bahdanau", init=False)


class BahdanauDecoder(AttentiveDecoder):
    """See the module.

    State: said `Said`, seen `Seen`.
    """

    def __init__(self, spec: BahdanauSpec, vocabulary_size: int, **arguments):
        super().__init__(spec, vocabulary_size, **arguments)
        self.first_state = FirstState(self.cell)
        self.of_hidden = keras.layers.Dense(spec.embedding)
        self.of_context = keras.layers.Dense(spec.embedding, use_bias=False)

    def build(self, features_shape, words_shape=None):
        """Create all weights, for features [B, h, w, C]."""
        super().build(features_shape)
        for layer in (self.first_state, self.of_hidden, self.of_context):
            layer.build((None, self.spec.units))
        self.output_layer.build((None, self.spec.embedding))

    def start(self, features, training=False):
        seen = self.see(self.normalised(features), training)
        cell = self.first_state(tf.reduce_mean(seen.memory, axis=1))
        return State(self.nothing_said(cell, seen), seen)

    def advance(self, vectors, state):
        (cell, _, _), (memory, keys) = state
        weights = tf.nn.softmax(self.attention.scores(self.attention.query(cell[0]), keys))
        context = mix(weights, memory)
        _, cell = self.cell(tf.concat([vectors, context], axis=-1), list(cell))
        return Said(tuple(cell), context, weights)

    def outputs_of(self, vectors, said):
        """Equation 7 of Show, Attend and Tell, but for the product with the vocabulary."""
        return vectors + self.of_hidden(said.cell[0]) + self.of_context(said.context)
