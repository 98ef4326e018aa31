"""Decoders that read word by word, against their formulas in plain NumPy, and learning."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_decoders import SPECS, make_decoder

from records.vocabulary import END_ID, PAD_ID, START_ID
from tfcap.captioner import force_captions
from tfcap.decoders import build_decoder
from tfcap.search import greedy

SIZE = 19  # words of the vocabulary
MAP = (2, 3, 12)
FEATURES = tf.random.stateless_normal([3, *MAP], [1, 2]) * 3 + 1
WORDS = tf.constant(np.random.default_rng(0).integers(3, SIZE, (3, 2, 5)), tf.int32)


def make(name):
    return make_decoder(name, MAP, SIZE, scale=0.35)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def softmax(scores):
    shares = np.exp(scores - scores.max())
    return shares / shares.sum()


def dense(layer, vectors):
    """A layer without what it is activated by."""
    products = vectors @ layer.kernel.numpy()
    return products if layer.bias is None else products + layer.bias.numpy()


def lstm(cell, vector, h, c):
    kernel, recurrent, bias = (weight.numpy() for weight in cell.weights[:3])
    i, f, g, o = np.split(vector @ kernel + h @ recurrent + bias, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def normalised(decoder, cells):
    mean, variance = cells.mean(-1, keepdims=True), cells.var(-1, keepdims=True)
    norm = decoder.feature_norm
    return (cells - mean) / np.sqrt(variance + norm.epsilon) * norm.gamma + norm.beta


def bahdanau(decoder, picture, words):
    """Logits and weights of each word, by the formulas of Xu et al. 2015."""
    attention = decoder.attention
    memory = np.maximum(dense(decoder.memory, normalised(decoder, picture)), 0)
    h, c = (np.tanh(dense(layer, memory.mean(0))) for layer in decoder.first_state.states)
    for word in words:
        vector = decoder.embedding.embeddings.numpy()[word]
        compared = np.tanh(dense(attention.key, memory) + dense(attention.query, h))
        weights = softmax(dense(attention.score, compared)[:, 0])
        context = weights @ memory
        h, c = lstm(decoder.cell, np.concatenate([vector, context]), h, c)
        deep = vector + dense(decoder.of_hidden, h) + dense(decoder.of_context, context)
        yield dense(decoder.output_layer, deep), weights


def adaptive(decoder, picture, words):
    """Logits and weights of each word, by the formulas of Lu et al. 2017."""
    attention, cells = decoder.attention, normalised(decoder, picture)
    memory = np.maximum(dense(decoder.memory, cells), 0)
    overview = np.maximum(dense(decoder.overview, cells.mean(0)), 0)
    h, c = np.zeros((2, decoder.spec.units))
    for word in words:
        inputs = np.concatenate([decoder.embedding.embeddings.numpy()[word], overview])
        gate = sigmoid(dense(decoder.sentinel_gate, np.concatenate([inputs, h])))
        h, c = lstm(decoder.cell, inputs, h, c)
        sentinel = gate * np.tanh(c)
        keys = [*dense(attention.key, memory), dense(decoder.sentinel_key, sentinel)]
        compared = np.tanh(np.array(keys) + dense(attention.query, h))
        shares = softmax(dense(attention.score, compared)[:, 0])
        found = shares @ np.array([*memory, sentinel])
        yield dense(decoder.output_layer, found + h), shares[:-1] / shares[:-1].sum()


@pytest.mark.parametrize("formulas", [bahdanau, adaptive], ids=["bahdanau", "adaptive"])
def test_logits_and_attention_are_those_of_the_formulas(formulas):
    decoder = make(formulas.__name__)
    logits = decoder.logits(decoder(FEATURES, WORDS)).numpy()
    attended = decoder.attend(FEATURES, WORDS).numpy()
    assert attended.std() > 0.01, "attention must move for this to test anything"
    for row, caption in np.ndindex(*WORDS.shape[:2]):
        cells = FEATURES[row].numpy().reshape(6, 12)
        expected = formulas(decoder, cells, WORDS[row, caption].numpy())
        for position, (scores, weights) in enumerate(expected):
            np.testing.assert_allclose(logits[row, caption, position], scores, atol=1e-4)
            found = attended[row, caption, position].reshape(6)
            np.testing.assert_allclose(found, weights, atol=1e-5)


@pytest.mark.parametrize("name", ["rnn", "rnn-lstm", "rnn-gru"])
def test_a_recurrence_without_attention_is_that_of_keras(name):
    decoder = make(name)
    state = [tf.repeat(tensor, 2, axis=0) for tensor in decoder.start(FEATURES).said]
    recurrence = keras.layers.RNN(decoder.cell, return_sequences=True)
    words = tf.reshape(WORDS, [6, 5])
    expected = recurrence(decoder.embedding(words), initial_state=state)
    found = tf.reshape(decoder(FEATURES, WORDS), [6, 5, decoder.spec.units])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["rnn-gru", "bahdanau", "adaptive"])
def test_the_gradient_in_a_graph_is_that_of_the_steps(name):
    decoder = make(name)
    variables = decoder.trainable_variables
    lengths = np.array([[5, 2], [0, 4], [1, 2]])
    inputs = tf.where(np.arange(5) < lengths[..., None], WORDS, PAD_ID)
    targets = tf.where(inputs == PAD_ID, PAD_ID, tf.roll(WORDS, -1, axis=2))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, *MAP]),
            tf.TensorSpec([None, None, None], tf.int32),
            tf.TensorSpec([None, None, None], tf.int32),
        ]
    )
    def whole(features, inputs, targets):
        with tf.GradientTape() as tape:
            loss, *_ = force_captions(decoder, features, inputs, targets).sums()
        return [tf.convert_to_tensor(each) for each in tape.gradient(loss, variables)]

    with tf.GradientTape() as tape:
        loss = 0.0
        for caption in range(2):
            state = decoder.start(FEATURES)
            for position in range(5):
                outputs, state = decoder.step(inputs[:, caption, position], state)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    targets[:, caption, position], decoder.logits(outputs)
                )
                counts = tf.cast(targets[:, caption, position] != PAD_ID, tf.float32)
                loss += tf.reduce_sum(losses * counts)
    expected = tape.gradient(loss, variables)
    for found, gradient in zip(whole(FEATURES, inputs, targets), expected, strict=True):
        np.testing.assert_allclose(found, tf.convert_to_tensor(gradient), atol=1e-4)


@pytest.mark.parametrize("name", ["rnn", "bahdanau-gru", "adaptive"])
def test_a_handful_of_captions_is_learned_by_heart(name):
    keras.utils.set_random_seed(5)
    decoder = build_decoder(SPECS[name], SIZE)
    decoder.build((None, *MAP))
    spoken = [[5, 9, 4, 9, END_ID], [5, 6, END_ID, PAD_ID, PAD_ID], [7, 9, 9, END_ID, PAD_ID]]
    targets = tf.constant(spoken)[:, None]
    inputs = tf.concat([tf.fill([3, 1, 1], START_ID), targets[:, :, :-1]], axis=2)
    optimizer = keras.optimizers.Adam(0.02)
    optimizer.build(decoder.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss, *_ = force_captions(decoder, FEATURES, inputs, targets).sums()
        optimizer.apply(tape.gradient(loss, decoder.trainable_variables))
        return loss

    losses = [float(step()) for _ in range(80)]
    assert losses[-1] < 0.2 < losses[0]
    np.testing.assert_array_equal(greedy(decoder, FEATURES, 4).words, targets[:, 0])
