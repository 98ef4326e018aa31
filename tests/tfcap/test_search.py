import itertools

import numpy as np
import pytest
import tensorflow as tf
from small_decoders import MAX_WORDS, favour_end, make_decoder, output_bias

from records.vocabulary import END_ID, PAD_ID, START_ID, UNK_ID
from tfcap.captioner import caption_log_probs
from tfcap.decoders import DECODERS
from tfcap.search import SamplingSpec, beam, greedy, sample
from tfcap.search.beam import NOTHING
from tfcap.search.sampling import truncated

SIZE = 19  # words of the vocabulary; no layer is as wide
# Of the score of <end>: some captions of these weights end early, some never.
END_BIAS = {
    "lstm_attention": 6.0,
    "merge": 4.0,
    "rnn": 1.0,
    "bahdanau": -1.0,
    "adaptive": 7.0,
    "transformer": 1.5,
}


def features(rows, seed=0):
    return tf.random.stateless_normal([rows, 2, 2, 12], [seed, 1])


@pytest.fixture(scope="module", params=DECODERS)
def decoder(request):
    return make(request.param)


def make(kind):
    """A decoder whose captions end."""
    decoder = make_decoder(kind, (2, 2, 12), SIZE, scale=0.5)
    favour_end(decoder, SIZE, by=END_BIAS[kind])
    return decoder


@tf.function(reduce_retracing=True)
def next_log_probs(decoder, feature, words):
    """Of all words after those of one caption, float [V]."""
    outputs = decoder(feature[None], words[None, None])
    return tf.nn.log_softmax(decoder.logits(outputs)[0, 0, -1])


def naive_greedy(decoder, feature, max_words, prompt=()):
    """One picture, whole captions anew for every word: no state, no batch."""
    words, log_prob = list(prompt), 0.0
    while END_ID not in words:
        allowed = next_log_probs(decoder, feature, tf.constant([START_ID, *words])).numpy()
        allowed[[PAD_ID, UNK_ID, START_ID]] = -np.inf
        words.append(int(allowed.argmax()) if len(words) < max_words else END_ID)
        log_prob += allowed[words[-1]]
    return words, log_prob


def test_greedy_equals_the_naive_loop(decoder):
    batch = features(24)
    found = greedy(decoder, batch, MAX_WORDS)
    lengths = set()
    for row, feature in enumerate(batch):
        words, log_prob = naive_greedy(decoder, feature, MAX_WORDS)
        expected = words + [PAD_ID] * (MAX_WORDS + 1 - len(words))
        assert found.words[row].numpy().tolist() == expected
        np.testing.assert_allclose(found.log_probs[row], log_prob, rtol=1e-4)
        lengths.add(len(words))
    assert len(lengths) > 1, "the rows must end at different steps for this to test anything"


def test_greedy_goes_on_from_prompts(decoder):
    batch = features(3, seed=7)
    prompts = [[5, 9, UNK_ID], [], [4] * 20]
    ragged = tf.ragged.constant(prompts, dtype=tf.int32)
    found = greedy(decoder, batch, MAX_WORDS, ragged)
    for row, prompt in enumerate(prompts):
        start = prompt[:MAX_WORDS]
        words, log_prob = naive_greedy(decoder, batch[row], MAX_WORDS, start)
        assert found.words[row].numpy().tolist()[: len(words)] == words
        np.testing.assert_allclose(found.log_probs[row], log_prob, rtol=1e-4)


def test_greedy_says_no_special_word(decoder):
    before = output_bias(decoder, SIZE).numpy()
    try:
        for special in (PAD_ID, UNK_ID, START_ID):
            bias = before.copy()
            bias[special] = 100.0
            output_bias(decoder, SIZE).assign(bias)
            words = greedy(decoder, features(2), MAX_WORDS).words.numpy()
            ended = np.cumsum(words == END_ID, axis=1) > 0
            assert (words[~ended] > END_ID).all()
    finally:
        output_bias(decoder, SIZE).assign(before)


def test_greedy_log_probs_are_those_of_teacher_forcing(decoder):
    batch = features(24)
    found = greedy(decoder, batch, MAX_WORDS)
    starts = tf.fill([24, 1], START_ID)
    inputs, targets = tf.concat([starts, found.words[:, :-1]], axis=1), found.words
    log_probs, _ = caption_log_probs(decoder, batch, inputs[:, None], targets[:, None])
    np.testing.assert_allclose(log_probs[:, 0], found.log_probs, rtol=1e-4)


def test_greedy_takes_no_rows(decoder):
    found = greedy(decoder, features(0), MAX_WORDS)
    assert found.words.shape == (0, MAX_WORDS + 1)
    assert found.log_probs.shape == (0,)


def test_one_beam_is_greedy(decoder):
    batch = features(24)
    expected, found = greedy(decoder, batch, MAX_WORDS), beam(decoder, batch, MAX_WORDS, 1)
    np.testing.assert_array_equal(found.words[:, 0], expected.words)
    np.testing.assert_allclose(found.log_probs[:, 0], expected.log_probs, rtol=1e-4)


def test_beams_go_on_from_prompts(decoder):
    batch, prompts = features(3, seed=7), [[5, 9, UNK_ID], [], [4] * 20]
    ragged = tf.ragged.constant(prompts, dtype=tf.int32)
    expected = greedy(decoder, batch, MAX_WORDS, ragged)
    found = beam(decoder, batch, MAX_WORDS, 1, prompts=ragged)
    np.testing.assert_array_equal(found.words[:, 0], expected.words)
    np.testing.assert_allclose(found.log_probs[:, 0], expected.log_probs, rtol=1e-4)
    words = beam(decoder, batch, MAX_WORDS, 3, prompts=ragged).words.numpy()
    assert (words[0, :, :3] == prompts[0]).all()
    assert len({tuple(row) for row in words[0]}) == 3


def every_caption(decoder, feature, max_words):
    """Every caption of at most so many words, with its log probability."""
    allowed = range(END_ID + 1, SIZE)
    for length in range(max_words + 1):
        captions = np.array(list(itertools.product(allowed, repeat=length)), np.int32)
        captions = captions.reshape(len(captions), 1, length)
        starts, ends = (np.full([len(captions), 1, 1], word) for word in (START_ID, END_ID))
        inputs, targets = (
            np.concatenate(parts, axis=2).astype(np.int32)
            for parts in ((starts, captions), (captions, ends))
        )
        rows = tf.repeat(feature[None], len(captions), axis=0)
        log_probs, _ = caption_log_probs(decoder, rows, tf.constant(inputs), tf.constant(targets))
        yield from zip(targets[:, 0].tolist(), log_probs[:, 0].numpy(), strict=True)


@pytest.mark.parametrize("alpha", [0.0, 1.5])
def test_a_beam_as_wide_as_all_captions_is_an_exhaustive_search(decoder, alpha):
    max_words, batch = 2, features(2)
    captions = 1 + (SIZE - END_ID - 1) + (SIZE - END_ID - 1) ** 2
    found = beam(decoder, batch, max_words, captions, alpha)
    for row, feature in enumerate(batch):
        scored = {}
        for words, log_prob in every_caption(decoder, feature, max_words):
            scored[tuple(words)] = log_prob / ((5 + len(words)) / 6) ** alpha
        expected = sorted(scored.values(), reverse=True)
        np.testing.assert_allclose(found.scores[row], expected, rtol=1e-4)
        for words, score in zip(found.words[row].numpy(), found.scores[row].numpy(), strict=True):
            np.testing.assert_allclose(scored[tuple(words[words != PAD_ID])], score, rtol=1e-4)


def test_a_wider_beam_finds_captions_that_are_as_likely_at_least(decoder):
    batch = features(24)
    best = [beam(decoder, batch, MAX_WORDS, width).log_probs[:, 0].numpy() for width in (1, 8)]
    assert best[1].mean() > best[0].mean()


def test_beams_are_sorted_different_and_scored_as_teacher_forcing_does(decoder):
    batch, width = features(8), 3
    found = beam(decoder, batch, MAX_WORDS, width, alpha=0.7)
    assert (np.diff(found.scores, axis=1) <= 0).all()
    words = found.words.numpy()
    assert all(len({tuple(row) for row in rows}) == width for rows in words)
    starts = np.full([8, width, 1], START_ID, np.int32)
    inputs = np.concatenate([starts, words[:, :, :-1]], axis=2)
    log_probs, lengths = caption_log_probs(decoder, batch, tf.constant(inputs), found.words)
    np.testing.assert_allclose(found.log_probs, log_probs, rtol=1e-4)
    np.testing.assert_allclose(found.scores, log_probs / ((5 + lengths) / 6) ** 0.7, rtol=1e-4)


def test_beams_that_are_not_there_are_empty(decoder):
    captions = 1 + (SIZE - END_ID - 1)  # of one word at most
    found = beam(decoder, features(1), 1, captions + 3)
    assert (found.words[0, captions:].numpy() == PAD_ID).all()
    assert (found.log_probs[0, captions:].numpy() == NOTHING).all()
    assert (found.log_probs[0, :captions].numpy() > NOTHING).all()


def test_beams_of_no_rows(decoder):
    assert beam(decoder, features(0), MAX_WORDS, 2).words.shape == (0, 2, MAX_WORDS + 1)


def test_sampling_follows_the_seed_and_the_model():
    decoder = make("lstm_attention")
    batch = tf.repeat(features(1), 2000, axis=0)
    found = sample(decoder, batch, MAX_WORDS, SamplingSpec(seed=3))
    again = sample(decoder, batch, MAX_WORDS, SamplingSpec(seed=3))
    other = sample(decoder, batch, MAX_WORDS, SamplingSpec(seed=4))
    np.testing.assert_array_equal(found.words, again.words)
    assert (found.words.numpy() != other.words.numpy()).any()
    first = np.bincount(found.words[:, 0].numpy(), minlength=SIZE) / 2000
    probabilities = np.exp(next_log_probs(decoder, batch[0], tf.constant([START_ID])).numpy())
    probabilities[:END_ID] = 0
    np.testing.assert_allclose(first, probabilities / probabilities.sum(), atol=0.04)


def test_sampled_log_probs_are_those_of_teacher_forcing(decoder):
    batch = features(24)
    found = sample(decoder, batch, MAX_WORDS, SamplingSpec(temperature=2.0, top_k=5, top_p=0.9))
    starts = tf.fill([24, 1], START_ID)
    inputs = tf.concat([starts, found.words[:, :-1]], axis=1)
    log_probs, _ = caption_log_probs(decoder, batch, inputs[:, None], found.words[:, None])
    np.testing.assert_allclose(log_probs[:, 0], found.log_probs, rtol=1e-4)


@pytest.mark.parametrize("spec", [SamplingSpec(top_k=1), SamplingSpec(top_p=1e-6)], ids=str)
def test_sampling_of_the_likeliest_word_alone_is_greedy(decoder, spec):
    batch = features(8)
    expected = greedy(decoder, batch, MAX_WORDS).words
    np.testing.assert_array_equal(sample(decoder, batch, MAX_WORDS, spec).words, expected)


@pytest.mark.parametrize(
    ("top_k", "top_p", "left"),
    [(0, 1.0, 4), (2, 1.0, 2), (9, 1.0, 4), (0, 0.5, 1), (0, 0.51, 2), (0, 0.81, 3), (3, 0.9, 3)],
)
def test_truncation_keeps_the_likeliest_words(top_k, top_p, left):
    logits = tf.math.log([[0.3, 0.05, 0.5, 0.15]])
    kept = np.isfinite(truncated(logits, top_k, top_p).numpy()[0])
    assert kept.sum() == left
    assert set(np.flatnonzero(kept)) == set(np.argsort([-0.3, -0.05, -0.5, -0.15])[:left])


@pytest.mark.parametrize("field", [{"temperature": 0}, {"top_k": -1}, {"top_p": 0}, {"top_p": 1.1}])
def test_sampling_that_makes_no_sense_is_refused(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        SamplingSpec(**field)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_run_of_words_comes_twice(decoder, size):
    batch, max_words = features(24), 12
    if decoder.spec.max_length:
        max_words = MAX_WORDS
    searches = {
        "greedy": greedy(decoder, batch, max_words, no_repeat=size).words,
        "sample": sample(decoder, batch, max_words, no_repeat=size).words,
        "beam": beam(decoder, batch, max_words, 2, no_repeat=size).words[:, 0],
    }
    for found in searches.values():
        for row in found.numpy():
            words = row[row > END_ID].tolist()
            runs = [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]
            assert len(runs) == len(set(runs))
    loose = greedy(decoder, batch, max_words).words.numpy()
    assert (loose != searches["greedy"].numpy()).any() or size > 1
