"""Whole captions without their padding, which is a third to a half of a batch.

Some of it is left: numbers of words are rounded up. oneDNN keeps what it has compiled for each size
of each product, a thousand of them; if every batch had a size of its own, memory would grow by some
60 MB over the first hundreds of steps.
"""

from typing import NamedTuple

import tensorflow as tf

from records.vocabulary import PAD_ID

ROUND = 64  # words


class Packing(NamedTuple):
    """The words of a batch of captions in a row: all first words, then all second words and so on.

    Within a step the captions stand from the longest to the shortest, so that those which have a
    word at a step are the first so many of those at the step before. As much <pad> as makes W a
    multiple of `ROUND`, if there is so much, counts as words at the ends of captions.

    Attributes:
        places: int32 [W], where the packed words stand among the N * T of the captions.
        order: int32 [N], the captions from the longest to the shortest.
        counts: int32 [T], how many captions have a word at each step.
    """

    places: tf.Tensor
    order: tf.Tensor
    counts: tf.Tensor

    @classmethod
    def of(cls, words: tf.Tensor) -> "Packing":
        """Find the words of captions, int32 [N, T], that are filled up with <pad>."""
        length = tf.shape(words)[1]
        steps = tf.range(length)
        lengths = tf.reduce_max(tf.where(words != PAD_ID, steps + 1, 0), axis=1)
        room = length - lengths
        missing = _missing(tf.reduce_sum(lengths))
        lengths += tf.clip_by_value(missing - tf.cumsum(room, exclusive=True), 0, room)
        order = tf.argsort(lengths, direction="DESCENDING", stable=True)
        there = steps[:, None] < tf.gather(lengths, order)[None]  # [T, N]
        places = tf.boolean_mask(order[None] * length + steps[:, None], there)
        return cls(places, order, tf.reduce_sum(tf.cast(there, tf.int32), axis=1))

    def pack(self, padded: tf.Tensor) -> tf.Tensor:
        """Return the words' values, [W, ...], of those of whole captions, [N * T, ...]."""
        return tf.gather(padded, self.places)

    def unpack(self, packed: tf.Tensor) -> tf.Tensor:
        """Return [N * T, D] of packed values [W, D], zero at what was not packed."""
        rows = tf.size(self.order) * tf.size(self.counts)
        return tf.scatter_nd(self.places[:, None], packed, [rows, packed.shape[-1]])


def filled_up(words: tf.Tensor) -> tf.Tensor:
    """Return values of words, [W, ...], and behind them zeros, up to a multiple of `ROUND`."""
    missing = _missing(tf.shape(words)[0])
    return tf.pad(words, [[0, missing], *[[0, 0]] * (words.shape.rank - 1)])


def _missing(words: tf.Tensor) -> tf.Tensor:
    return -words % ROUND
