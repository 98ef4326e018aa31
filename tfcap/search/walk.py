"""One word after the other: what greedy decoding and sampling have in common."""

from collections.abc import Callable

import tensorflow as tf

from records.vocabulary import END_ID, PAD_ID, START_ID
from tfcap.decoders.base import Decoder
from tfcap.search.hypotheses import Hypotheses
from tfcap.search.prompts import Prompts
from tfcap.search.repetition import repeats

# Scores float32 [N, V], -inf for words that must not be said, and the position of the word to be
# chosen, int32 []; gives int32 [N].
Choose = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def walk(
    decoder: Decoder,
    features: tf.Tensor,
    max_words: int,
    choose: Choose,
    prompts: tf.RaggedTensor | None = None,
    no_repeat: int = 0,
) -> Hypotheses:
    """Choose a word at every step, never <pad>, <unk> or <start>.

    Args:
        decoder: predicts the next word.
        features: float [N, h, w, C], the encoded pictures; N may be 0.
        max_words: most words of a caption, those of the prompt included; then <end> must follow.
        choose: the next word of each caption.
        prompts: int32 [N, (P)], words that the captions begin with; none by default. What is
            longer than `max_words` is cut.
        no_repeat: no so many words come twice in a row in a caption; 0 lets them.
    """
    rows, width = tf.shape(features)[0], max_words + 1
    positions = tf.range(width)[None]
    prompt = None if prompts is None else Prompts.of(prompts, rows, max_words)

    def go_on(position, last, finished, words, log_probs, state):
        return ~tf.reduce_all(finished)

    def step(position, last, finished, words, log_probs, state):
        outputs, state = decoder.step(last, state)
        logits = decoder.logits(outputs)  # [N, V]
        # The special tokens come first in every vocabulary and <end> is the last of them.
        vocabulary = logits.shape[-1]
        allowed = logits + tf.where(tf.range(vocabulary) < END_ID, -float("inf"), 0.0)
        if no_repeat:
            again = repeats(words, position, no_repeat, vocabulary)
            allowed = tf.where(again, -float("inf"), allowed)
        chosen = choose(allowed, position)
        chosen = tf.where(position < max_words, chosen, END_ID)
        gained = tf.gather(tf.nn.log_softmax(logits), chosen, batch_dims=1)
        if prompt:
            forced = position < prompt.lengths
            chosen = tf.where(forced, prompt.words[:, position], chosen)
            gained = tf.where(forced, 0.0, gained)
        chosen = tf.where(finished, PAD_ID, chosen)
        log_probs += tf.where(finished, 0.0, gained)
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
    with decoder.weights_read_once():
        _, _, _, words, log_probs, _ = tf.while_loop(go_on, step, start, maximum_iterations=width)
    return Hypotheses(words, log_probs)
