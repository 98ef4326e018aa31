"""Which words would say again what a caption has said."""

import tensorflow as tf


def repeats(words: tf.Tensor, position: tf.Tensor, size: int, vocabulary: int) -> tf.Tensor:
    """Find the words that would end a run of words that the caption has already.

    Args:
        words: int32 [N, L], captions of which `position` words are said.
        position: int32 [], of the next word.
        size: of the runs; 1 finds all words that were said.
        vocabulary: V.

    Returns:
        bool [N, V].
    """
    rows, length = tf.shape(words)[0], words.shape[1]
    starts = tf.range(length - size + 1)
    recent = tf.gather(words, tf.maximum(position - size + 1 + tf.range(size - 1), 0), axis=1)
    runs = tf.gather(words, starts[:, None] + tf.range(size - 1), axis=1)  # [N, starts, size - 1]
    said = starts + size - 1 < position
    again = tf.reduce_all(runs == recent[:, None], axis=2) & said & (position >= size)
    ends = words[:, size - 1 :]
    places = tf.stack([tf.repeat(tf.range(rows), length - size + 1), tf.reshape(ends, [-1])], 1)
    counts = tf.scatter_nd(places, tf.cast(tf.reshape(again, [-1]), tf.int32), [rows, vocabulary])
    return counts > 0
