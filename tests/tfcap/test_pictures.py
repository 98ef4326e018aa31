import io

import numpy as np
import tensorflow as tf
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
