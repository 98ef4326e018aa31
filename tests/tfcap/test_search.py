import numpy as np
import tensorflow as tf

from records.vocabulary import END_ID, PAD_ID, START_ID, UNK_ID
from tfcap.captioner import caption_log_probs
from tfcap.search import greedy


def features(rows, seed=0):
    return tf.random.stateless_normal([rows, 2, 2, 576], [seed, 1])


def naive_greedy(decoder, feature, max_words, prompt=()):
    """One picture, whole captions anew for every word: no state, no batch."""
    words, log_prob = list(prompt), 0.0
    while END_ID not in words:
        inputs = tf.constant([[[START_ID, *words]]])
        log_probs = tf.nn.log_softmax(decoder.logits(decoder(feature[None], inputs))[0, 0, -1])
        allowed = log_probs.numpy()
        allowed[[PAD_ID, UNK_ID, START_ID]] = -np.inf
        words.append(int(allowed.argmax()) if len(words) < max_words else END_ID)
        log_prob += allowed[words[-1]]
    return words, log_prob


def test_greedy_equals_the_naive_loop(captioner):
    batch = features(24)
    found = greedy(captioner.decoder, batch, captioner.max_words)
    lengths = set()
    for row, feature in enumerate(batch):
        words, log_prob = naive_greedy(captioner.decoder, feature, captioner.max_words)
        expected = words + [PAD_ID] * (captioner.max_words + 1 - len(words))
        assert found.words[row].numpy().tolist() == expected
        np.testing.assert_allclose(found.log_probs[row], log_prob, rtol=1e-4)
        lengths.add(len(words))
    assert len(lengths) > 1, "the rows must end at different steps for this to test anything"


def test_greedy_goes_on_from_prompts(captioner):
    batch = features(3, seed=7)
    prompts = [[5, 9, UNK_ID], [], [4] * 20]
    ragged = tf.ragged.constant(prompts, dtype=tf.int32)
    found = greedy(captioner.decoder, batch, captioner.max_words, ragged)
    for row, prompt in enumerate(prompts):
        start = prompt[: captioner.max_words]
        words, log_prob = naive_greedy(captioner.decoder, batch[row], captioner.max_words, start)
        assert found.words[row].numpy().tolist()[: len(words)] == words
        np.testing.assert_allclose(found.log_probs[row], log_prob, rtol=1e-4)


def test_greedy_says_no_special_word(captioner):
    decoder = captioner.decoder
    before = decoder.output_bias.numpy()
    try:
        for special in (PAD_ID, UNK_ID, START_ID):
            bias = before.copy()
            bias[special] = 100.0
            decoder.output_bias.assign(bias)
            words = greedy(decoder, features(2), captioner.max_words).words.numpy()
            ended = np.cumsum(words == END_ID, axis=1) > 0
            assert (words[~ended] > END_ID).all()
    finally:
        decoder.output_bias.assign(before)


def test_greedy_log_probs_are_those_of_teacher_forcing(captioner):
    batch = features(24)
    found = greedy(captioner.decoder, batch, captioner.max_words)
    starts = tf.fill([24, 1], START_ID)
    inputs, targets = tf.concat([starts, found.words[:, :-1]], axis=1), found.words
    log_probs, _ = caption_log_probs(captioner.decoder, batch, inputs[:, None], targets[:, None])
    np.testing.assert_allclose(log_probs[:, 0], found.log_probs, rtol=1e-4)


def test_greedy_takes_no_rows(captioner):
    found = greedy(captioner.decoder, features(0), captioner.max_words)
    assert found.words.shape == (0, captioner.max_words + 1)
    assert found.log_probs.shape == (0,)
