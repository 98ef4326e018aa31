"""What every search returns."""

from typing import NamedTuple

import tensorflow as tf


class Hypotheses(NamedTuple):
    """What a search found.

    Attributes:
        words: int32 [N, max_words + 1], the ids of each caption, prompt included and <start> not;
            the caption ends with <end>, and <pad> fills the rest.
        log_probs: float32 [N], natural logarithm of the probability of the words that the search
            chose itself, <end> among them.
    """

    words: tf.Tensor
    log_probs: tf.Tensor
