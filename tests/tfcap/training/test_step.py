"""One step: what it computes in, what it draws, what it changes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from records.captions import CaptionSpec
from records.pictures import PictureSpec
from records.vocabulary import SPECIALS, Vocabulary
from tfcap.captioner import build_captioner
from tfcap.config import FineTuneSpec, ModelSpec, OptimizerSpec, TrainingSpec
from tfcap.decoders import LSTMAttentionSpec, TransformerSpec
from tfcap.training.average import MovingAverage
from tfcap.training.objectives import CrossEntropy
from tfcap.training.state import TrainingState
from tfcap.training.step import TrainStep

DECODERS = {
    "lstm": LSTMAttentionSpec(units=16, embedding=8, heads=2),
    # Its attention's dropout is drawn in the precision of the step: other draws, other losses.
    "transformer": TransformerSpec(layers=1, units=16, heads=2, dropout=0.0),
}


def cross_entropy(captioner, spec):
    return CrossEntropy(spec.label_smoothing)


def make(spec, decoder="lstm", pixels=False, objective=cross_entropy):
    """Return a captioner, its state and its step; the weights are the same each time."""
    keras.utils.set_random_seed(3)
    model = ModelSpec("tiny", "none", DECODERS[decoder])
    vocabulary = Vocabulary((*SPECIALS, "a", "red", "green", "blue", "square"))
    captioner = build_captioner(model, PictureSpec(size=64), CaptionSpec(), vocabulary)
    state = TrainingState(captioner, spec)
    shape = tf.TensorSpec([None, 64, 64, 3], tf.uint8)
    if not pixels:
        shape = tf.TensorSpec(captioner.encoder.output_shape, tf.float32)

    def encode(images):
        return captioner.encoder(tf.cast(images, tf.float32), training=False)

    strategy = tf.distribute.get_strategy()
    tunes = spec.fine_tune.epochs > 0
    parts = (captioner, state, spec, objective(captioner, spec), strategy)
    return captioner, state, TrainStep(*parts, encode if pixels else tf.identity, shape, tunes)


def batch_of(captioner, pixels=False):
    generator = np.random.default_rng(3)
    words = tf.constant(generator.integers(4, 9, (4, 3, 5)), tf.int32)
    if pixels:
        images = tf.constant(generator.integers(0, 256, (4, 64, 64, 3)), tf.uint8)
        return {"image": images, "inputs": words, "targets": words}
    features = generator.normal(size=(4, *captioner.encoder.output_shape[1:]))
    return {"features": tf.constant(features, tf.float32), "inputs": words, "targets": words}


def trained(spec, steps, **what):
    captioner, state, step = make(spec, **what)
    if spec.precision == "float16":
        # From where the scale starts, it takes some steps that change nothing to come down.
        state.optimizer.dynamic_scale.assign(2.0**10)
    batch = batch_of(captioner, what.get("pixels", False))
    if spec.precision == "float16":
        state.optimizer.dynamic_scale.assign(1024)  # where it would come to by skipping steps
    losses = [float(step(batch, number, (1e-2, 1e-2))) for number in range(steps)]
    return captioner, state, losses


@pytest.mark.parametrize(
    ("precision", "decoder"), [("bfloat16", "lstm"), ("float16", "transformer")]
)
def test_lower_precision_learns_the_same(precision, decoder):
    *_, exact = trained(TrainingSpec(), 8, decoder=decoder)
    captioner, _, losses = trained(TrainingSpec(precision=precision), 8, decoder=decoder)
    assert losses == pytest.approx(exact, rel=0.05) and losses != exact
    assert losses[-1] < losses[0]
    assert {weight.dtype for weight in captioner.decoder.weights} == {"float32"}
    assert captioner.decoder.compute_dtype == "float32"  # for whoever traces it next


def test_a_step_that_overflows_in_float16_changes_no_weight():
    captioner, state, step = make(TrainingSpec(precision="float16"))
    state.optimizer.dynamic_scale.assign(2.0**126)
    before = [weight.numpy() for weight in captioner.decoder.weights]
    step(batch_of(captioner), 0, (1e-2, 0))
    for old, weight in zip(before, captioner.decoder.weights, strict=True):
        np.testing.assert_array_equal(old, weight)
    assert float(state.optimizer.dynamic_scale) == 2.0**125


def test_dropout_is_a_function_of_seed_and_step():
    captioner, _, step = make(TrainingSpec(optimizer=OptimizerSpec(weight_decay=0)))
    batch = batch_of(captioner)
    losses = {number: float(step(batch, number, (0, 0))) for number in (0, 1, 2)}
    assert len(set(losses.values())) == 3
    assert float(step(batch, 1, (0, 0))) == losses[1]  # whatever was drawn in between
    _, _, other = make(TrainingSpec(seed=2))
    assert float(other(batch, 1, (0, 0))) != losses[1]


def test_the_gradient_is_clipped_as_a_whole():
    """AdamW hides the size of a gradient, but for its epsilon: a tiny one moves next to nothing."""
    spec = TrainingSpec(optimizer=OptimizerSpec(clip_norm=1e-12, weight_decay=0))
    captioner, _, step = make(spec)
    before = [weight.numpy() for weight in captioner.decoder.weights]
    step(batch_of(captioner), 0, (1e-2, 0))
    moves = [
        np.abs(old - weight).max()
        for old, weight in zip(before, captioner.decoder.weights, strict=True)
    ]
    assert 0 < max(moves) < 1e-5


@pytest.mark.parametrize(("blocks", "changed"), [(0, (1, 2)), (1, (2,))])
def test_fine_tuning_changes_the_last_blocks_but_for_batch_normalization(blocks, changed):
    spec = TrainingSpec(epochs=1, fine_tune=FineTuneSpec(epochs=1, blocks=blocks))
    captioner, _, step = make(spec, pixels=True)
    before = {weight.path: weight.numpy() for weight in captioner.encoder.weights}
    step(batch_of(captioner, pixels=True), 0, (1e-3, 1e-3))
    moved = {
        weight.path
        for weight in captioner.encoder.weights
        if not np.array_equal(before[weight.path], weight)
    }
    assert moved == {f"block{number}_conv/kernel" for number in changed}


def test_encoding_in_the_step_or_before_it_is_the_same():
    captioner, _, step = make(TrainingSpec(), pixels=True)
    batch = batch_of(captioner, pixels=True)
    features = captioner.encoder(tf.cast(batch["image"], tf.float32), training=False)
    _, _, other = make(TrainingSpec())
    encoded = {"features": features, "inputs": batch["inputs"], "targets": batch["targets"]}
    assert float(step(batch, 0, (0, 0))) == pytest.approx(
        float(other(encoded, 0, (0, 0))), rel=1e-6
    )


def test_the_average_lags_behind_the_weights_and_stands_in_for_a_while():
    captioner, _, step = make(TrainingSpec())
    weights = captioner.decoder.trainable_variables
    average, expected = MovingAverage(weights, 0.5), [weight.numpy() for weight in weights]
    for number in range(3):
        step(batch_of(captioner), number, (1e-2, 0))
        average.update(tf.constant(number, tf.int64))
        decay = min(0.5, (1 + number) / (10 + number))
        expected = [decay * a + (1 - decay) * b.numpy() for a, b in zip(expected, weights)]  # noqa: B905
    raw = [weight.numpy() for weight in weights]
    with average.in_place():
        for value, weight in zip(expected, weights, strict=True):
            np.testing.assert_allclose(weight, value, atol=1e-6)
    for value, weight in zip(raw, weights, strict=True):
        np.testing.assert_array_equal(weight, value)
