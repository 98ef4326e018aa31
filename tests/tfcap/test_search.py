import keras
import numpy as np
import pytest
import tensorflow as tf

from records.vocabulary import END_ID, PAD_ID, START_ID, UNK_ID
from tfcap.captioner import caption_log_probs
from tfcap.decoders import DECODERS, LSTMAttentionSpec, TransformerSpec, build_decoder
from tfcap.search import greedy

MAX_WORDS = 6
SIZE = 19  # words of the vocabulary; no layer is as wide
SPECS = {
    "lstm_attention": LSTMAttentionSpec(units=16, embedding=8, heads=2),
    "transformer": TransformerSpec(units=8, max_length=MAX_WORDS + 1),
}
# Of the score of <end>: some captions of these weights end early, some never.
END_BIAS = {"lstm_attention": 6.0, "transformer": 1.5}


def features(rows, seed=0):
    return tf.random.stateless_normal([rows, 2, 2, 12], [seed, 1])


def output_bias(decoder):
    """The bias of the words' scores."""
    (bias,) = (variable for variable in decoder.trainable_variables if variable.shape == (SIZE,))
    return bias


@pytest.fixture(scope="module", params=DECODERS)
def decoder(request):
    """A decoder whose weights are no zeros, and whose captions end."""
    keras.utils.set_random_seed(5)
    decoder = build_decoder(SPECS[request.param], SIZE)
    decoder.build((None, 2, 2, 12))
    generator = np.random.default_rng(5)
    for variable in decoder.trainable_variables:
        variable.assign(generator.normal(scale=0.5, size=variable.shape))
    output_bias(decoder).assign_add(tf.one_hot(END_ID, SIZE, on_value=END_BIAS[request.param]))
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
    before = output_bias(decoder).numpy()
    try:
        for special in (PAD_ID, UNK_ID, START_ID):
            bias = before.copy()
            bias[special] = 100.0
            output_bias(decoder).assign(bias)
            words = greedy(decoder, features(2), MAX_WORDS).words.numpy()
            ended = np.cumsum(words == END_ID, axis=1) > 0
            assert (words[~ended] > END_ID).all()
    finally:
        output_bias(decoder).assign(before)


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
