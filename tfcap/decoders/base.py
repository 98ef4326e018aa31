"""The one interface of all decoders."""

import abc
from typing import Any, ClassVar, NamedTuple

import keras
import tensorflow as tf

from records.specs import Spec


class State(NamedTuple):
    """What a decoder knows between two words: nests of tensors, each with the row as first axis.

    Attributes:
        said: what follows from the words so far.
        seen: of the picture, which no word changes: the same for all captions of a picture.
    """

    said: Any
    seen: Any


class DecoderSpec(Spec):
    """Sizes of a decoder.

    Attributes:
        kind: the decoder's name in the registry; a field, so that a written spec tells it.
        max_length: most words of a caption that the decoder reads, <start> included; None where
            there is no limit.
    """

    kind: str
    max_length: ClassVar[int | None] = None

    @classmethod
    def from_dict(cls, fields: dict):
        """Rebuild the spec from `to_dict`; unknown fields raise TypeError."""
        return cls(**{name: value for name, value in fields.items() if name != "kind"})


class Decoder(keras.Model, abc.ABC):
    """Predicts the next word of captions of encoded pictures.

    A decoder is called in two ways, which agree with each other: `start` and `step` walk
    one word at a time (search), `call` takes whole captions (teacher forcing). Both give hidden
    outputs of D values per word; `logits` turns those into scores of the next word,
    so that a caller can leave out the words that do not count before this, the widest product.

    Under a mixed precision policy, states and outputs have its compute dtype; logits and
    attention weights are float32.

    Attributes:
        output_layer: scores the vocabulary, unless a decoder has a `logits` of its own.
    """

    output_layer: keras.layers.Dense

    @abc.abstractmethod
    def start(self, features: tf.Tensor) -> State:
        """Return the state before the first word.

        Args:
            features: float [N, h, w, C], the encoded pictures.
        """

    @abc.abstractmethod
    def step(self, words: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """Read one word of each row.

        Args:
            words: int32 [N], ids.
            state: of `start` or of the step before.

        Returns:
            (outputs [N, D], the next state).
        """

    @abc.abstractmethod
    def call(self, features: tf.Tensor, words: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Read whole captions.

        Args:
            features: float [B, h, w, C], the encoded pictures.
            words: int32 [B, K, T], K captions a picture; each begins with <start>, and <pad>
                fills the rest.
            training: whether dropout is on.

        Returns:
            outputs [B, K, T, D]; those of <pad> say nothing.
        """

    @abc.abstractmethod
    def attend(self, features: tf.Tensor, words: tf.Tensor) -> tf.Tensor | None:
        """Tell where the decoder looks for the word after each word of whole captions.

        Args:
            features: float [B, h, w, C], the encoded pictures.
            words: int32 [B, K, T], as for `call`.

        Returns:
            weights of the map's cells, float32 [B, K, T, h, w], 1 in sum for each word; the mean
            over heads and layers; those of <pad> say nothing. None where the decoder has no
            attention.
        """

    @property
    def word_vectors(self) -> keras.Variable:
        """The vectors of the words that it reads, float32 [V, E]."""
        return self.embedding.embeddings

    def for_search(self) -> "Decoder":
        """Return a decoder that says the same, made for captions word by word.

        Whatever follows from the weights alone may be made before, from the weights as they are.
        """
        return self

    def weights_read_once(self) -> keras.StatelessScope:
        """Return a context in which the decoder's weights are tensors, read here and now.

        A search whose words come from a loop in it does not read them anew for every word.
        """
        return keras.StatelessScope(
            [(variable, tf.convert_to_tensor(variable.value)) for variable in self.variables]
        )

    def logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return float32 logits [..., V] over the vocabulary of outputs [..., D]."""
        # Not by calling the layer: in float32 under any policy.
        outputs, layer = tf.cast(outputs, tf.float32), self.output_layer
        return product(outputs, layer.kernel) + layer.bias


def product(vectors: tf.Tensor, matrix: tf.Tensor, transpose: bool = False) -> tf.Tensor:
    """Return the product of vectors [..., D] and a matrix [D, V], or of [V, D] transposed.

    Of two matrices always: the broadcast of one over a batch reads past its end with oneDNN
    (TensorFlow 2.21, AVX-512), and `tf.tensordot` copies what it transposes, at every word.
    """
    if vectors.shape.rank == 2:
        return tf.matmul(vectors, matrix, transpose_b=transpose)
    flat = tf.matmul(tf.reshape(vectors, [-1, vectors.shape[-1]]), matrix, transpose_b=transpose)
    shape = tf.concat([tf.shape(vectors)[:-1], tf.shape(flat)[-1:]], axis=0)
    return tf.ensure_shape(tf.reshape(flat, shape), [*vectors.shape[:-1], flat.shape[-1]])
