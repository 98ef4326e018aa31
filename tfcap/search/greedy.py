"""Search in the graph: greedy decoding, batched; one implementation for every caller."""

from typing import NamedTuple

import tensorflow as tf

from records.vocabulary import END_ID, PAD_ID, START_ID
from tfcap.decoders.base import Decoder


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


def greedy(
    decoder: Decoder, features: tf.Tensor, max_words: int, prompts: tf.RaggedTensor | None = None
) -> Hypotheses:
    """Take the likeliest word at every step, never <pad>, <unk> or <start>.

    Args:
        decoder: predicts the next word.
        features: float [N, h, w, C], the encoded pictures; N may be 0.
        max_words: most words of a caption, those of the prompt included; then <end> must follow.
        prompts: int32 [N, (P)], words that the captions begin with; none by default. What is
            longer than `max_words` is cut.
    """
    rows, width = tf.shape(features)[0], max_words + 1
    positions = tf.range(width)[None]
    if prompts is None:
        prompt_words, prompt_lengths = tf.zeros([rows, width], tf.int32), tf.zeros([rows], tf.int32)
    else:
        prompt_lengths = tf.minimum(tf.cast(prompts.row_lengths(), tf.int32), max_words)
        prompt_words = prompts.to_tensor(PAD_ID, shape=[None, width])

    def go_on(position, last, finished, words, log_probs, state):
        return ~tf.reduce_all(finished)

    def step(position, last, finished, words, log_probs, state):
        outputs, state = decoder.step(last, state)
        logits = decoder.logits(outputs)  # [N, V]
        # The special tokens come first in every vocabulary and <end> is the last of them.
        likeliest = tf.argmax(logits[:, END_ID:], axis=-1, output_type=tf.int32) + END_ID
        likeliest = tf.where(position < max_words, likeliest, END_ID)
        chosen_log_probs = tf.gather(logits, likeliest, batch_dims=1) - tf.reduce_logsumexp(
            logits, axis=-1
        )
        forced = position < prompt_lengths
        chosen = tf.where(forced, prompt_words[:, position], likeliest)
        chosen = tf.where(finished, PAD_ID, chosen)
        log_probs += tf.where(forced | finished, 0.0, chosen_log_probs)
        words = tf.where(positions == position, chosen[:, None], words)
        return position + 1, chosen, finished | (chosen == END_ID), words, log_probs, state

    start = (
        0,
        tf.fill([rows], START_ID),
        tf.zeros([rows], tf.bool),
        tf.fill([rows, width], PAD_ID),
        tf.zeros([rows]),
        decoder.start(features),
    )
    _, _, _, words, log_probs, _ = tf.while_loop(go_on, step, start, maximum_iterations=width)
    return Hypotheses(words, log_probs)
