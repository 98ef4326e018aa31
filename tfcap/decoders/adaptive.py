"""Adaptive attention: an LSTM that decides, for each word, whether to look at the picture at all.

Lu, Xiong, Parikh & Socher 2017, "Knowing When to Look", https://arxiv.org/abs/1612.01887. The cells
compete for the attention with a visual sentinel, which is what the LSTM knows already. Attention
reads the hidden state after the word and does not feed back into the recurrence, which gets the
mean of the picture with each word. The cells' features are normalised first.
"""

import dataclasses
from typing import ClassVar

import keras
import tensorflow as tf

from tfcap.decoders.additive_attention import AttentiveDecoder, AttentiveSpec, Said, mix
from tfcap.decoders.base import State


@dataclasses.dataclass(frozen=True)
class AdaptiveSpec(AttentiveSpec):
    """Sizes of the decoder.

    Attributes:
        kind: see `DecoderSpec`, and `AttentiveSpec` for the others. The cell is an LSTM: the
            sentinel is made of its memory.
    """

    cells: ClassVar[tuple[str, ...]] = ("lstm",)
    kind: str = dataclasses.field(default="adaptive", init=False)


class AdaptiveDecoder(AttentiveDecoder):
    """See the module.

    State: said `Said`, seen (`Seen`, overview [N, U], which is the mean of the picture). The
    weights that `attend` returns are those of the cells among themselves, 1 in sum, however much
    the sentinel has of the attention.
    """

    def __init__(self, spec: AdaptiveSpec, vocabulary_size: int, **arguments):
        super().__init__(spec, vocabulary_size, **arguments)
        self.overview = keras.layers.Dense(spec.units, activation="relu")
        self.sentinel_gate = keras.layers.Dense(spec.units, activation="sigmoid")
        self.sentinel_key = keras.layers.Dense(spec.attention)

    def build(self, features_shape, words_shape=None):
        """Create all weights, for features [B, h, w, C]."""
        super().build(features_shape)
        units = self.spec.units
        self.overview.build((None, features_shape[-1]))
        self.sentinel_gate.build((None, self.spec.embedding + 2 * units))
        self.sentinel_key.build((None, None, units))
        self.output_layer.build((None, units))

    def start(self, features, training=False):
        normalised = self.normalised(features)
        seen = self.see(normalised, training)
        overview = self.overview(tf.reduce_mean(normalised, axis=1))
        overview = self.memory_dropout(overview, training=training)
        nothing = tf.zeros_like(overview)
        return State(self.nothing_said((nothing, nothing), seen), (seen, overview))

    def advance(self, vectors, state):
        (cell, _, _), ((memory, keys), overview) = state
        inputs = tf.concat([vectors, overview], axis=-1)
        gate = self.sentinel_gate(tf.concat([inputs, cell[0]], axis=-1))
        _, (h, c) = self.cell(inputs, list(cell))
        sentinel = gate * tf.tanh(c)
        queries = self.attention.query(h)
        scores = self.attention.scores(queries, keys)
        of_sentinel = self.attention.scores(queries, self.sentinel_key(sentinel[:, None]))
        weights = tf.nn.softmax(scores)
        # The sentinel's share of an attention that goes over the cells and it.
        share = tf.nn.softmax(tf.concat([scores, of_sentinel], axis=-1))[:, -1:]
        share = tf.cast(share, sentinel.dtype)
        context = share * sentinel + (1 - share) * mix(weights, memory)
        return Said((h, c), context, weights)

    def outputs_of(self, vectors, said):
        return said.context + said.cell[0]
