import numpy as np
import pytest
import tensorflow as tf

from records.vocabulary import PAD_ID
from tfcap.captioner import caption_loss
from tfcap.decoders.lstm_attention import LSTMAttentionSpec

FEATURES = tf.random.stateless_normal([3, 2, 2, 576], [1, 2])
WORDS = tf.constant(np.random.default_rng(0).integers(3, 16, (3, 2, 5)), tf.int32)


def test_steps_equal_the_whole_sequence(captioner):
    decoder = captioner.decoder
    whole = decoder(FEATURES, WORDS)
    for caption in range(2):
        state = decoder.start(FEATURES)
        for position in range(5):
            outputs, state = decoder.step(WORDS[:, caption, position], state)
            np.testing.assert_allclose(outputs, whole[:, caption, position], atol=1e-5)


def test_a_word_depends_on_no_later_word_and_no_other_caption(captioner):
    changed = WORDS.numpy()
    changed[:, 0, 3] = 4
    changed[:, 1] = 5
    before = captioner.decoder(FEATURES, WORDS).numpy()
    after = captioner.decoder(FEATURES, tf.constant(changed)).numpy()
    np.testing.assert_allclose(after[:, 0, :3], before[:, 0, :3], atol=1e-6)
    assert np.abs(after[:, 0, 3:] - before[:, 0, 3:]).max() > 1e-3


def test_every_place_of_the_map_matters(captioner):
    before = captioner.decoder(FEATURES, WORDS).numpy()
    for row, column in np.ndindex(2, 2):
        changed = FEATURES.numpy()
        changed[:, row, column] = changed[:, row, column, ::-1]
        assert np.abs(captioner.decoder(tf.constant(changed), WORDS) - before).max() > 1e-3


def test_dropout_is_on_in_training_only(captioner):
    still = [captioner.decoder(FEATURES, WORDS).numpy() for _ in range(2)]
    moved = [captioner.decoder(FEATURES, WORDS, training=True).numpy() for _ in range(2)]
    assert (still[0] == still[1]).all()
    assert (moved[0] != moved[1]).any()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_the_cross_entropy_of_the_words_that_count(captioner, smoothing):
    targets = np.roll(WORDS.numpy(), -1, axis=2)
    targets[0, 0, 2:] = PAD_ID
    targets[2, 1, :] = PAD_ID
    total, words = caption_loss(captioner.decoder, FEATURES, WORDS, tf.constant(targets), smoothing)
    logits = captioner.decoder.logits(captioner.decoder(FEATURES, WORDS)).numpy()
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    size = logits.shape[-1]
    expected, counted = 0.0, 0
    for place in np.ndindex(targets.shape):
        if targets[place] != PAD_ID:
            wanted = np.full(size, smoothing / size)
            wanted[targets[place]] += 1 - smoothing
            expected -= (wanted * log_probs[place]).sum()
            counted += 1
    assert words == counted
    np.testing.assert_allclose(total, expected, rtol=1e-4)


@pytest.mark.parametrize(
    "fields", [{"units": 10, "heads": 4}, {"heads": 0}, {"dropout": 1.0}, {"embedding": -1}]
)
def test_a_spec_that_makes_no_sense_is_refused(fields):
    with pytest.raises(ValueError):
        LSTMAttentionSpec(**fields)
