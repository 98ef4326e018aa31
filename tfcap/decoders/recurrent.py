"""Decoders that read captions word by word: what they have in common.

A decoder of this family says how its recurrence begins, how one word moves it on, and what it puts
out. Search and teacher forcing then run the very same lines.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfcap.decoders.base import Decoder, DecoderSpec, State
from tfcap.decoders.packing import Packing
from tfcap.decoders.recurrence import lstm_gates


class LSTMCell(keras.layers.LSTMCell):
    """The cell of Keras, for any number of rows: where there are none, its own `call` fails.

    Keras 3.15 takes [0, 4U], the recurrent part of the sums, for a bias.
    """

    def call(self, inputs, states, training=False):
        h, c = states
        sums = tf.matmul(inputs, self.kernel) + tf.matmul(h, self.recurrent_kernel) + self.bias
        h, c = lstm_gates(sums, c)
        return h, [h, c]


CELLS = {
    "simple": keras.layers.SimpleRNNCell,
    "lstm": LSTMCell,
    "gru": keras.layers.GRUCell,
}


@dataclasses.dataclass(frozen=True)
class RecurrentSpec(DecoderSpec):
    """Sizes that every decoder of the family has.

    Attributes:
        cell: "simple" (h = tanh(W x + U h + b)), "lstm" or "gru", as far as `cells` has it.
        units: width of the recurrence and of what it knows of the picture.
        embedding: width of the word vectors.
        dropout: share of the picture's features and of the outputs that is dropped.
        embedding_dropout: share of the word vectors' values that is dropped.
    """

    cells: ClassVar[tuple[str, ...]] = tuple(CELLS)
    cell: str = "lstm"
    units: int = 512
    embedding: int = 256
    dropout: float = 0.5
    embedding_dropout: float = 0.3

    def __post_init__(self):
        if self.cell not in self.cells:
            raise ValueError(f"cell must be one of {', '.join(self.cells)}, got {self.cell!r}")
        if min(self.units, self.embedding) < 1:
            raise ValueError(f"units and embedding must be at least 1, got {self}")
        if not (0 <= self.dropout < 1 and 0 <= self.embedding_dropout < 1):
            raise ValueError(f"dropout shares must lie in [0, 1), got {self}")


class FirstState(keras.layers.Layer):
    """The first states of a cell, made of a picture: tanh(W x + b) each."""

    def __init__(self, cell: keras.layers.Layer, **arguments):
        super().__init__(**arguments)
        self.states = [
            keras.layers.Dense(units, activation="tanh")
            for units in tf.nest.flatten(cell.state_size)
        ]

    def build(self, shape):
        for layer in self.states:
            layer.build(shape)
        self.built = True

    def call(self, vectors: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Return the states, [N, U] each, of vectors [N, C]."""
        return tuple(layer(vectors) for layer in self.states)


class RecurrentDecoder(Decoder):
    """See the module."""

    def __init__(self, spec: RecurrentSpec, vocabulary_size: int, **arguments):
        super().__init__(**arguments)
        self.spec = spec
        self.embedding = keras.layers.Embedding(vocabulary_size, spec.embedding)
        self.embedding_dropout = keras.layers.Dropout(spec.embedding_dropout)
        self.cell = CELLS[spec.cell](spec.units)
        self.output_dropout = keras.layers.Dropout(spec.dropout)
        self.output_layer = keras.layers.Dense(vocabulary_size)

    @abc.abstractmethod
    def start(self, features: tf.Tensor, training: bool = False) -> State:
        """Return the state before the first word; see `Decoder`."""

    @abc.abstractmethod
    def advance(self, vectors: tf.Tensor, state: State) -> Any:
        """Read one word of each row.

        Args:
            vectors: float [N, E], of the words.
            state: before them.

        Returns:
            what is `said` after them.
        """

    @abc.abstractmethod
    def outputs_of(self, vectors: tf.Tensor, said: Any) -> tf.Tensor:
        """Return the outputs [R, D] of words, from their vectors [R, E] and what was said by then.

        Whatever no step waits for belongs here: it is done for all words of a batch at once.
        """

    def step(self, words, state):
        vectors = self.embedding(words)
        said = self.advance(vectors, state)
        return self.outputs_of(vectors, said), state._replace(said=said)

    def call(self, features, words, training=False):
        vectors, said, packing = self._read(features, words, training)
        outputs = self.output_dropout(self.outputs_of(vectors, said), training=training)
        batch, captions, length = tf.unstack(tf.shape(words))
        shape = [batch, captions, length, outputs.shape[-1]]
        return tf.reshape(packing.unpack(outputs), shape)

    def _read(self, features, words, training) -> tuple[tf.Tensor, Any, Packing]:
        """Return the words' vectors [W, E], what was said after each, and how both are packed."""
        captions, length = tf.unstack(tf.shape(words))[1:]
        packing = Packing.of(tf.reshape(words, [-1, length]))
        vectors = self.embedding(packing.pack(tf.reshape(words, [-1])))
        vectors = self.embedding_dropout(vectors, training=training)
        pictures = packing.order // captions
        state = tf.nest.map_structure(
            lambda tensor: tf.gather(tensor, pictures), self.start(features, training)
        )
        return vectors, unroll(self.advance, vectors, packing.counts, state), packing


def unroll(
    advance: Callable[[tf.Tensor, State], Any], vectors: tf.Tensor, counts: tf.Tensor, state: State
) -> Any:
    """Read whole captions, without a step for padding.

    Args:
        advance: of `RecurrentDecoder`.
        vectors: float [W, E], step by step, as `Packing` orders them.
        counts: int32 [T], how many captions go on at each step: the first so many of those before.
        state: before the first word, of N captions in the order of the packing.

    Returns:
        what is said after each word: nests as `state.said`, with W rows.
    """
    steps = tf.size(counts)

    def array_of(like: tf.Tensor) -> tf.TensorArray:
        # The number of rows differs from step to step.
        shape = [None, *like.shape[1:]]
        return tf.TensorArray(like.dtype, size=steps, element_shape=shape, infer_shape=False)

    def body(step, said, arrays):
        going_on = tf.nest.map_structure(
            lambda tensor: tensor[: counts[step]], State(said, state.seen)
        )
        said = advance(inputs.read(step), going_on)
        values = zip(arrays, tf.nest.flatten(said), strict=True)
        return step + 1, said, [array.write(step, value) for array, value in values]

    inputs = array_of(vectors).split(vectors, counts)
    arrays = [array_of(tensor) for tensor in tf.nest.flatten(state.said)]
    some_rows = tf.nest.map_structure(
        lambda tensor: tf.TensorShape([None, *tensor.shape[1:]]), state.said
    )
    scalar = tf.TensorShape([])
    *_, arrays = tf.while_loop(
        lambda step, *_: step < steps,
        body,
        (0, state.said, arrays),
        shape_invariants=(scalar, some_rows, [scalar] * len(arrays)),
    )
    return tf.nest.pack_sequence_as(state.said, [array.concat() for array in arrays])
