import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from records.pictures import PictureSpec, normalise_picture
from tfcap.pictures import decode_picture, flip_at_random, squash


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


def test_flips_are_fair_and_repeatable():
    pixels = tf.constant(np.arange(12, dtype=np.uint8).reshape(1, 4, 3))
    texts = tf.constant(["a dog runs", "leftover bright"])
    seeds = [tf.constant([1, i]) for i in range(200)]
    flips = [bool((flip_at_random(pixels, texts, seed) != pixels).numpy().any()) for seed in seeds]
    again = [bool((flip_at_random(pixels, texts, seed) != pixels).numpy().any()) for seed in seeds]
    assert flips == again
    assert 70 < sum(flips) < 130
    flipped = flip_at_random(pixels, texts, seeds[flips.index(True)]).numpy()
    assert (flipped == pixels.numpy()[:, ::-1]).all()


@pytest.mark.parametrize("caption", ["left", "a man on the right .", "turns right"])
def test_pictures_are_never_flipped_where_a_caption_speaks_of_sides(caption):
    pixels = tf.constant(np.arange(12, dtype=np.uint8).reshape(1, 4, 3))
    texts = tf.constant(["a dog runs", caption])
    for i in range(40):
        assert (flip_at_random(pixels, texts, tf.constant([1, i])) == pixels).numpy().all()
