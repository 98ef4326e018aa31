"""The moving average of the weights, which often captions better than the weights themselves."""

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf


class MovingAverage(tf.Module):
    """An exponential moving average of weights.

    Polyak & Juditsky 1992; the decay rises from 0.1 as `tf.train.ExponentialMovingAverage` has it,
    so that the weights as drawn are soon forgotten.
    """

    def __init__(self, weights: Sequence[keras.Variable], decay: float):
        super().__init__()
        self._weights = [weight.value for weight in weights]
        self._decay = decay
        self._averages = [tf.Variable(weight.read_value()) for weight in self._weights]

    def update(self, step: tf.Tensor) -> None:
        """Take in the weights after a step (int64 [], counted from 0, of the whole training)."""
        passed = tf.cast(step, tf.float32)
        share = 1 - tf.minimum(self._decay, (1 + passed) / (10 + passed))
        for average, weight in zip(self._averages, self._weights, strict=True):
            average.assign_add(share * (weight.read_value() - average))

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the averages in the place of the weights for a while."""
        weights = [weight.numpy() for weight in self._weights]
        try:
            self._assign(self._averages)
            yield
        finally:
            self._assign(weights)

    def _assign(self, values: Sequence) -> None:
        for weight, value in zip(self._weights, values, strict=True):
            weight.assign(value)
