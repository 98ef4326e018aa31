"""Words that captions must begin with."""

from typing import NamedTuple

import tensorflow as tf

from records.vocabulary import PAD_ID


class Prompts(NamedTuple):
    """The prompts of a batch.

    Attributes:
        words: int32 [N, max_words + 1], <pad> after their end.
        lengths: int32 [N].
    """

    words: tf.Tensor
    lengths: tf.Tensor

    @classmethod
    def of(cls, prompts: tf.RaggedTensor | None, rows: tf.Tensor, max_words: int) -> "Prompts":
        """Cut prompts, int32 [N, (P)], at `max_words`; None is no words for any of the rows."""
        width = max_words + 1
        if prompts is None:
            return cls(tf.fill([rows, width], PAD_ID), tf.zeros([rows], tf.int32))
        lengths = tf.minimum(tf.cast(prompts.row_lengths(), tf.int32), max_words)
        return cls(prompts.to_tensor(PAD_ID, shape=[None, width]), lengths)
