"""Ensembles: the mean of probabilities, by every way in."""

import numpy as np
import pytest
import tensorflow as tf
from small_decoders import MAX_WORDS, make_decoder

from records.vocabulary import START_ID
from tfcap.captioner import caption_log_probs
from tfcap.decoders.ensemble import EnsembleDecoder
from tfcap.search import beam, greedy

SIZE = 19
FEATURES = tf.random.stateless_normal([5, 2, 2, 12], [4, 1])


def member(name, seed):
    return make_decoder(name, (2, 2, 12), SIZE, scale=0.5, seed=seed)


@pytest.fixture(scope="module")
def members():
    # Kinds with states of all forms, and one without attention.
    return [member("lstm_attention", 1), member("merge", 2), member("transformer", 3)]


def test_an_ensemble_has_the_mean_of_the_probabilities(members):
    words = tf.constant(np.random.default_rng(3).integers(4, SIZE, (5, 2, MAX_WORDS)), tf.int32)
    expected = np.mean(
        [tf.nn.softmax(each.logits(each(FEATURES, words))) for each in members], axis=0
    )
    ensemble = EnsembleDecoder(members)
    found = ensemble.logits(ensemble(FEATURES, words))
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-4)
    np.testing.assert_array_equal(
        ensemble.attend(FEATURES, words),
        (members[0].attend(FEATURES, words) + members[2].attend(FEATURES, words)) / 2,
    )


def test_one_member_alone_is_itself(members):
    expected = greedy(members[0], FEATURES, MAX_WORDS)
    found = greedy(EnsembleDecoder(members[:1]), FEATURES, MAX_WORDS)
    np.testing.assert_array_equal(found.words, expected.words)
    np.testing.assert_allclose(found.log_probs, expected.log_probs, rtol=1e-4)


def test_beams_of_an_ensemble_score_as_teacher_forcing_does(members):
    ensemble = EnsembleDecoder(members)
    found = beam(ensemble, FEATURES, MAX_WORDS, 3)
    inputs = tf.concat([tf.fill([5, 3, 1], START_ID), found.words[..., :-1]], axis=2)
    log_probs, _ = caption_log_probs(ensemble, FEATURES, inputs, found.words)
    np.testing.assert_allclose(log_probs, found.log_probs, rtol=1e-4)
