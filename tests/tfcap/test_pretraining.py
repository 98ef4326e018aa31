import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from records.manifest import load_manifest
from records.vocabulary import END_ID, PAD_ID, SPECIALS, UNK_ID
from tfcap.cli.main import main
from tfcap.encoders import ENCODERS, build_encoder
from tfcap.pretraining import (
    PretrainingSpec,
    WordDetector,
    pool_cells,
    pretrain,
    set_batch_statistics,
    word_labels,
)

ENCODER = "tiny"


def build_tiny(input_shape, weights):
    """Build a network that is traced in no time, in the form of those of `ENCODERS`."""
    assert weights is None
    inputs = keras.Input(input_shape)
    features = keras.layers.Rescaling(1 / 255)(inputs)
    features = keras.layers.Conv2D(8, 3, strides=8, use_bias=False)(features)
    features = keras.layers.BatchNormalization(momentum=0.999)(features)
    return keras.Model(inputs, keras.layers.ReLU()(features))


@pytest.fixture(autouse=True)
def tiny_encoder(monkeypatch):
    monkeypatch.setitem(ENCODERS, ENCODER, build_tiny)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Records of 40 drawn scenes at 64 pixels, made by the commands themselves."""
    from beam_jobs.build_records import main as build_records
    from tfcap.scenes import main as draw

    root = tmp_path_factory.mktemp("pretraining")
    scenes, records = root / "scenes", root / "records"
    assert draw([str(scenes), "--pictures", "40", "--size", "64"]) == 0
    flags = {
        "--images": scenes / "Images",
        "--captions": scenes / "captions.txt",
        "--splits": scenes,
        "--output": records,
        "--image-size": 64,
    }
    assert build_records([str(word) for pair in flags.items() for word in pair]) == 0
    return records


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_labels_are_the_words_of_all_captions_without_the_special_tokens(captions):
    labels = word_labels(tf.constant([captions], tf.int32), 10).numpy()
    words = {word for caption in captions for word in caption}
    assert labels.tolist() == [[float(word in words) for word in range(len(SPECIALS), 10)]]


def test_labels_of_pictures_do_not_mix():
    targets = [[[5, END_ID, PAD_ID]], [[UNK_ID, 4, END_ID]]]
    assert word_labels(tf.constant(targets, tf.int32), 6).numpy().tolist() == [[0, 1], [1, 0]]


def test_one_cell_raises_the_pooled_score_wherever_it_lies():
    scores = np.full((2, 3, 4, 1), -20.0, np.float32)
    scores[0, 1, 2], scores[1, 2, 0] = 20.0, 20.0
    pooled = pool_cells(tf.constant(scores)).numpy()
    assert pooled.ravel() == pytest.approx([20 - np.log(12)] * 2, abs=1e-4)


@given(st.lists(st.floats(-30, 30, width=32), min_size=6, max_size=6))
@settings(max_examples=50, deadline=None)
def test_the_pooled_score_lies_between_the_mean_and_the_maximum(cells):
    pooled = float(pool_cells(tf.reshape(tf.constant(cells, tf.float32), [1, 2, 3, 1]))[0, 0])
    assert np.mean(cells) - 1e-4 <= pooled <= max(cells) + 1e-4


def test_steps_lower_the_loss_and_move_the_encoder():
    keras.utils.set_random_seed(0)
    encoder = build_encoder(ENCODER, 64, "none")
    before = [variable.numpy() for variable in encoder.weights[:1]]
    detector = WordDetector(encoder, 8, 2e-3)
    images = tf.random.stateless_uniform([4, 64, 64, 3], [0, 0], maxval=256, dtype=tf.int32)
    targets = tf.constant([[[4, 5]], [[6, 3]], [[7, 0]], [[4, 7]]], tf.int32)
    losses = [float(detector.train_step(tf.cast(images, tf.uint8), targets)) for _ in range(4)]
    assert losses[-1] < losses[0]
    # The first layer learns, not just the head.
    assert not np.allclose(before[0], encoder.weights[0].numpy())


def test_batch_statistics_are_the_mean_over_the_batches():
    inputs = keras.Input((2, 2, 3))
    model = keras.Model(inputs, keras.layers.BatchNormalization(momentum=0.99)(inputs))
    generator = np.random.default_rng(0)
    batches = generator.uniform(0, 255, (3, 8, 2, 2, 3)).astype(np.uint8)
    set_batch_statistics(model, batches)
    values = batches.astype(np.float64).reshape(3, -1, 3)
    layer = model.layers[-1]
    np.testing.assert_allclose(layer.moving_mean, values.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, values.var(1).mean(0), rtol=1e-4)
    assert layer.momentum == 0.99


def test_the_same_seed_gives_the_same_encoder(dataset):
    manifest = load_manifest(dataset)
    spec = PretrainingSpec(epochs=1, batch_size=16, seed=3)
    first, second = (pretrain(ENCODER, dataset, manifest, spec) for _ in range(2))
    for mine, theirs in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)
    assert first.trainable_variables == []


def test_train_takes_the_weights_that_pretrain_writes(dataset, tmp_path, capsys):
    weights, run = tmp_path / "deep" / "encoder.weights.h5", tmp_path / "run"
    flags = f"--dataset {dataset} --encoder {ENCODER} --epochs 1 --batch-size 16".split()
    assert main(["pretrain", *flags, "--output", str(weights)]) == 0
    assert list(weights.parent.iterdir()) == [weights]
    recipe = ["--encoder-weights", str(weights), "--units", "16", "--embedding", "8"]
    assert main(["train", *flags, *recipe, "--run", str(run)]) == 0
    pretrained = build_encoder(ENCODER, 64, str(weights)).get_weights()
    trained_with = build_encoder(ENCODER, 64, str(run / "encoder.weights.h5")).get_weights()
    for mine, theirs in zip(pretrained, trained_with, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    # An output that is there already is not trained over.
    assert main(["pretrain", *flags, "--output", str(weights)]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ("--output encoder.h5", "must end in .weights.h5"),
        ("--output x.weights.h5 --epochs 0", "epochs must be above 0, got 0"),
        ("--output x.weights.h5 --batch-size 1", "batch_size must be at least 2, got 1"),
        ("--output x.weights.h5 --learning-rate -1", "learning_rate must be above 0, got -1"),
        ("--output x.weights.h5 --seed -1", "seed must be at least 0, got -1"),
        ("--output x.weights.h5 --encoder vgg", "unknown encoder 'vgg'"),
    ],
)
def test_bad_flags_are_one_line(dataset, tmp_path, monkeypatch, capsys, flags, complaint):
    monkeypatch.chdir(tmp_path)
    assert main(["pretrain", "--dataset", str(dataset), *flags.split()]) == 2
    err = capsys.readouterr().err
    assert complaint in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_pretraining_leaves_no_file(dataset, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(WordDetector, "train_step", interrupt)
    flags = ["--dataset", str(dataset), "--encoder", ENCODER, "--epochs", "1"]
    assert main(["pretrain", *flags, "--output", str(tmp_path / "encoder.weights.h5")]) == 130
    assert list(tmp_path.iterdir()) == []
