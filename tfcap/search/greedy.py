"""Greedy decoding."""

import tensorflow as tf

from tfcap.decoders.base import Decoder
from tfcap.search.hypotheses import Hypotheses
from tfcap.search.walk import walk


def greedy(
    decoder: Decoder,
    features: tf.Tensor,
    max_words: int,
    prompts: tf.RaggedTensor | None = None,
    no_repeat: int = 0,
) -> Hypotheses:
    """Take the likeliest word at every step; arguments as of `walk`."""

    def likeliest(logits, position):
        return tf.argmax(logits, axis=-1, output_type=tf.int32)

    return walk(decoder, features, max_words, likeliest, prompts, no_repeat)
