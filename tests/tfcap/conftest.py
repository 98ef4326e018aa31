"""A captioner small enough for a test, with weights drawn at random."""

import io
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from records.captions import CaptionSpec
from records.pictures import PictureSpec
from records.vocabulary import END_ID, SPECIALS, Vocabulary
from tfcap import runs
from tfcap.captioner import Captioner, build_captioner
from tfcap.config import ModelSpec, RunConfig, TrainingSpec
from tfcap.decoders.lstm_attention import LSTMAttentionSpec
from tfcap.encoders import save_weights

WORDS = ["a", "dog", "cat", "runs", "sits", "on", "the", "grass", "red", "ball", "'s", "t-shirt"]
SMALL = LSTMAttentionSpec(units=16, embedding=8, heads=2)


@pytest.fixture(scope="session")
def captioner() -> Captioner:
    """A captioner of 64x64 pictures (a 2x2 map), whose biases are no zeros."""
    keras.utils.set_random_seed(5)
    model = ModelSpec("mobilenet_v3_small", "none", SMALL, max_words=6)
    vocabulary = Vocabulary((*SPECIALS, *WORDS))
    built = build_captioner(model, PictureSpec(size=64), CaptionSpec(), vocabulary)
    # As drawn, the encoder gives next to zero for any picture: normalise its layers once.
    for layer in built.encoder.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable, layer.momentum = True, 0.0
    pixels = [Image.open(io.BytesIO(_draw_jpeg(seed))) for seed in range(16)]
    built.encoder(np.stack(pixels).astype(np.float32), training=True)
    built.encoder.trainable = False
    generator = np.random.default_rng(5)
    for variable in built.decoder.trainable_variables:
        variable.assign(generator.normal(scale=0.35, size=variable.shape))
    # Captions of random weights would hardly ever end.
    built.decoder.output_bias.assign_add(tf.one_hot(END_ID, len(vocabulary), on_value=5.5))
    return built


@pytest.fixture(scope="session")
def jpeg() -> Callable[..., bytes]:
    """A function of a seed and a size that draws a JPEG."""
    return _draw_jpeg


def _draw_jpeg(seed: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """Return a JPEG of smooth random colours, (width, height) in pixels."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture(scope="session")
def small_run(captioner, tmp_path_factory) -> Path:
    """A run directory with the small captioner in it."""
    directory = tmp_path_factory.mktemp("runs") / "small"
    directory.mkdir()
    RunConfig(
        dataset="/nowhere",
        fingerprint="0" * 64,
        encoder_fingerprint="none",
        picture=captioner.picture,
        caption=captioner.caption,
        model=ModelSpec(
            "mobilenet_v3_small", "none", captioner.decoder.spec, max_words=captioner.max_words
        ),
        training=TrainingSpec(),
    ).save(directory / runs.CONFIG)
    (directory / runs.VOCABULARY).write_text(captioner.vocabulary.to_text())
    save_weights(captioner.encoder, directory / runs.ENCODER)
    save_weights(captioner.decoder, directory / runs.DECODER)
    return directory


@pytest.fixture(scope="session")
def tiny_encoder():
    """One convolution, over 64x64 pixels."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((64, 64, 3))
    pixels = keras.layers.Rescaling(1 / 25.0, -5.0)(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(12, 3, strides=32)(pixels))
