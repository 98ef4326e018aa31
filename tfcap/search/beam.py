"""Beam search, batched, in the graph.

At every step the best captions of each picture that go on are kept apart from the best that have
ended, so that a short one cannot be lost to longer ones that are likelier only so far.
"""

from typing import NamedTuple

import tensorflow as tf

from records.vocabulary import END_ID, PAD_ID, START_ID
from tfcap.decoders.base import Decoder, State
from tfcap.search.prompts import Prompts
from tfcap.search.repetition import repeats

NOTHING = -1e30  # the log probability of no hypothesis; its sums stay finite


class Beams(NamedTuple):
    """What a beam search found, the best first.

    Attributes:
        words: int32 [N, K, max_words + 1], as of `Hypotheses`; all <pad> where fewer than K were
            found.
        log_probs: float32 [N, K], natural logarithm of each caption's probability, `NOTHING` where
            there is none.
        scores: float32 [N, K], what they are sorted by: log_probs over the length penalty.
    """

    words: tf.Tensor
    log_probs: tf.Tensor
    scores: tf.Tensor


class _Loop(NamedTuple):
    """The state of a search.

    Attributes:
        position: int32 [], words that the live captions have.
        words: int32 [N, K, max_words + 1], of live captions.
        log_probs: float32 [N, K], of live captions, the best first.
        state: of the decoder, rows [N * K].
        ended: of finished captions.
    """

    position: tf.Tensor
    words: tf.Tensor
    log_probs: tf.Tensor
    state: State
    ended: Beams


def length_penalty(length: tf.Tensor | int, alpha: float) -> tf.Tensor:
    """Return ((5 + length) / 6)**alpha; the length counts <end>.

    Wu et al. 2016, "Google's Neural Machine Translation System", equation 14,
    https://arxiv.org/abs/1609.08144.
    """
    return ((5.0 + tf.cast(length, tf.float32)) / 6.0) ** alpha


def beam(
    decoder: Decoder,
    features: tf.Tensor,
    max_words: int,
    width: int,
    alpha: float = 0.0,
    no_repeat: int = 0,
    prompts: tf.RaggedTensor | None = None,
) -> Beams:
    """Search for the likeliest captions, without <pad>, <unk> and <start>.

    Args:
        decoder: predicts the next word.
        features: float [N, h, w, C], the encoded pictures; N may be 0.
        max_words: most words of a caption; then <end> must follow.
        width: K, captions that go on, and that are returned, of each picture.
        alpha: of the length penalty; 0 ranks by probability, more favours longer captions.
        no_repeat: no so many words come twice in a row in a caption; 0 lets them.
        prompts: int32 [N, (P)], words that the captions begin with, cut at `max_words`.
    """
    rows = tf.shape(features)[0]
    prompt = Prompts.of(prompts, rows, max_words)
    state = tf.nest.map_structure(
        lambda tensor: tf.repeat(tensor, width, axis=0), decoder.start(features)
    )
    nothing = Beams(
        tf.fill([rows, width, max_words + 1], PAD_ID),
        tf.fill([rows, width], NOTHING),
        tf.fill([rows, width], NOTHING),
    )
    # All K begin alike: one of them is enough.
    first = tf.concat([tf.zeros([rows, 1]), tf.fill([rows, width - 1], NOTHING)], axis=1)
    start = _Loop(tf.constant(0), nothing.words, first, state, nothing)

    def go_on(loop: _Loop) -> tf.Tensor:
        # A live caption can at best end without losing probability, at the greatest length.
        best = loop.log_probs[:, 0] / length_penalty(max_words + 1, alpha)
        return tf.reduce_any(best > loop.ended.scores[:, -1])

    def step(loop: _Loop) -> tuple[_Loop]:
        log_probs, state = _next_words(decoder, loop, no_repeat, prompt)
        return (_advance(loop, log_probs, state, max_words, alpha),)

    with decoder.weights_read_once():
        (loop,) = tf.while_loop(go_on, step, (start,), maximum_iterations=max_words + 1)
    return loop.ended


def _next_words(
    decoder: Decoder, loop: _Loop, no_repeat: int, prompt: Prompts
) -> tuple[tf.Tensor, State]:
    """Return the log probability of each next word, [N, K, V], and the decoder's next state."""
    rows, width, length = tf.shape(loop.words)[0], loop.words.shape[1], loop.words.shape[2]
    position = loop.position
    starts = tf.fill([rows, width, 1], START_ID)
    last = tf.concat([starts, loop.words], axis=2)[:, :, position]
    outputs, state = decoder.step(tf.reshape(last, [-1]), loop.state)
    log_probs = tf.nn.log_softmax(decoder.logits(outputs))
    vocabulary = log_probs.shape[-1]
    # The special tokens come first in every vocabulary and <end> is the last of them.
    ids = tf.range(vocabulary)
    banned = (ids < END_ID)[None]
    if no_repeat:
        said = tf.reshape(loop.words, [-1, length])
        banned |= repeats(said, position, no_repeat, vocabulary)
    log_probs = tf.where(banned, NOTHING, log_probs)
    log_probs = tf.reshape(log_probs, [rows, width, vocabulary])
    # A word of the prompt costs nothing, and there is no other.
    given = tf.where(ids == prompt.words[:, position, None], 0.0, NOTHING)[:, None]
    forced = (position < prompt.lengths)[:, None, None]
    return tf.where(forced, given, log_probs), state


def _advance(
    loop: _Loop, log_probs: tf.Tensor, state: State, max_words: int, alpha: float
) -> _Loop:
    """Add a word to each live caption."""
    rows, width, vocabulary = tf.shape(log_probs)[0], log_probs.shape[1], log_probs.shape[2]
    position = loop.position
    totals = loop.log_probs[:, :, None] + log_probs
    is_end = tf.range(vocabulary) == END_ID
    totals = tf.where(is_end | (position < max_words), totals, NOTHING)
    # Of 2 K candidates at most K end, so that K are left to go on.
    totals, places = tf.math.top_k(tf.reshape(totals, [rows, width * vocabulary]), 2 * width)
    parents, chosen = places // vocabulary, places % vocabulary
    words = tf.gather(loop.words, parents, batch_dims=1)
    words = tf.where(tf.range(max_words + 1) == position, chosen[:, :, None], words)
    ended = _add_ended(loop, words[:, :width], totals[:, :width], chosen[:, :width], alpha)
    live, order = tf.math.top_k(tf.where(chosen == END_ID, NOTHING, totals), width)
    words, parents = (tf.gather(each, order, batch_dims=1) for each in (words, parents))
    flat = tf.reshape(tf.range(rows)[:, None] * width + parents, [-1])
    # What was seen is the same for all captions of a picture.
    said = tf.nest.map_structure(lambda tensor: tf.gather(tensor, flat), state.said)
    return _Loop(position + 1, words, live, state._replace(said=said), ended)


def _add_ended(
    loop: _Loop, words: tf.Tensor, log_probs: tf.Tensor, chosen: tf.Tensor, alpha: float
) -> Beams:
    """Add those of the K best candidates that end; returns the best K of all that have ended.

    Not those of lower rank: a search with one beam must go the way of the greedy one.

    Args:
        loop: before the step.
        words: int32 [N, K, max_words + 1], of the candidates.
        log_probs: float32 [N, K], likewise.
        chosen: int32 [N, K], their last word.
        alpha: of the length penalty.
    """
    ends = (chosen == END_ID) & (log_probs > NOTHING / 2)
    words = tf.where(ends[:, :, None], words, PAD_ID)
    log_probs = tf.where(ends, log_probs, NOTHING)
    scores = tf.where(ends, log_probs / length_penalty(loop.position + 1, alpha), NOTHING)
    new = (words, log_probs, scores)
    both = [tf.concat(pair, axis=1) for pair in zip(loop.ended, new, strict=True)]
    best, order = tf.math.top_k(both[2], chosen.shape[1])
    words, log_probs = (tf.gather(each, order, batch_dims=1) for each in both[:2])
    return Beams(words, log_probs, best)
