import io

import numpy as np
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from records.pictures import PictureSpec, normalise_picture
from tfcap.pictures import decode_picture, squash


def test_stored_pictures_decode_to_pillows_pixels(jpeg):
    spec = PictureSpec(size=64)
    encoded = normalise_picture(jpeg(3, (64, 64)), spec).encoded
    pixels = np.asarray(Image.open(io.BytesIO(encoded)))
    assert (decode_picture(tf.constant(encoded), spec).numpy() == pixels).all()


def test_squash_is_pillows_antialiased_resize(jpeg):
    picture = Image.open(io.BytesIO(jpeg(4, (200, 120))))
    expected = np.asarray(picture.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    found = squash(tf.constant(np.asarray(picture)), PictureSpec(size=64)).numpy()
    assert found.dtype == np.uint8 and found.shape == (64, 64, 3)
    # Pillow rounds its filter weights to 8 bits, TensorFlow's are floats.
    assert np.abs(found - expected).max() <= 2


def test_squash_enlarges_too():
    small = tf.constant(np.full((5, 9, 3), 77, np.uint8))
    assert (squash(small, PictureSpec(size=32)).numpy() == 77).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(32, 80), st.integers(0, 2**32 - 1))
@example(64, 64, 64, 0)
def test_squash_is_tensorflows_resize_to_the_bit(rows, columns, size, seed):
    """Features are stored, and models trained, with pixels that were made by it."""
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3)).astype(np.uint8)
    resized = tf.image.resize(pixels, (size, size), "bilinear", antialias=True)
    expected = tf.saturate_cast(tf.round(resized), tf.uint8)
    found = squash(tf.constant(pixels), PictureSpec(size=size))
    np.testing.assert_array_equal(found, expected)


@given(st.integers(1, 300), st.integers(1, 300))
@settings(deadline=None, max_examples=30)
def test_white_stays_white(rows, columns):
    white = tf.fill([rows, columns, 3], tf.constant(255, tf.uint8))
    assert (squash(white, PictureSpec(size=64)).numpy() == 255).all()
