"""The one interface of all decoders."""

import abc
from typing import Any

import keras
import tensorflow as tf

State = Any  # a nest of tensors, each with the row as its first axis


class Decoder(keras.Model, abc.ABC):
    """Predicts the next word of captions of encoded pictures.

    A decoder is called in two ways, which agree with each other: `start` and `step` walk
    one word at a time (search), `call` takes whole captions (teacher forcing). Both give hidden
    outputs of D values per word; `logits` turns those into scores of the next word,
    so that a caller can leave out the words that do not count before this, the widest product.
    """

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
            words: int32 [B, K, T], K captions a picture; each begins with <start>.
            training: whether dropout is on.

        Returns:
            outputs [B, K, T, D].
        """

    @abc.abstractmethod
    def logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return float logits [..., V] over the vocabulary of outputs [..., D]."""
