"""Pictures of callers: each format, transparency, which way up, and hostile bytes."""

import contextlib
import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from records.pictures import PictureSpec, normalise_picture
from tfcap.orientation import exif_orientation
from tfcap.uploads import decode_upload

SPEC = PictureSpec(size=64, quality=95)
decode = tf.function(
    lambda encoded: decode_upload(encoded, SPEC), input_signature=[tf.TensorSpec([], tf.string)]
)
orientation_of = tf.function(exif_orientation, input_signature=[tf.TensorSpec([], tf.string)])


def smooth(mode: str = "RGB", size: tuple[int, int] = (64, 64)) -> Image.Image:
    """A picture of slow gradients, different at each corner, which JPEG hardly changes."""
    rows, columns = np.mgrid[0:1:64j, 0:1:64j]
    planes = [200 * rows, 200 * columns, 100 * rows * columns + 100, 255 * columns]
    pixels = np.stack(planes, axis=-1).astype(np.uint8)
    return Image.fromarray(pixels, "RGBA").convert(mode).resize(size)


def saved(picture: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def stored_pixels(source: bytes) -> np.ndarray:
    """What training would see of the file."""
    stored = Image.open(io.BytesIO(normalise_picture(source, SPEC).encoded))
    return np.asarray(stored.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)


def exif(orientation: int, little: bool = False) -> bytes:
    """EXIF data with two tags, of which the second is the orientation."""
    order, mark = ("<", b"II") if little else (">", b"MM")
    entries = [(0x0100, 4, 1, 64), (0x0112, 3, 1, orientation)]
    packed = struct.pack(order + "HIH", 42, 8, len(entries))
    for tag, kind, count, value in entries:
        form = "HHIHxx" if kind == 3 else "HHII"
        packed += struct.pack(order + form, tag, kind, count, value)
    return b"Exif\0\0" + mark + packed + bytes(4)


FILES = {
    "JPEG": saved(smooth(), "JPEG", quality=95),
    "gray JPEG": saved(smooth("L"), "JPEG", quality=95),
    "PNG": saved(smooth(), "PNG"),
    "gray PNG": saved(smooth("L"), "PNG"),
    "palette PNG": saved(smooth().quantize(200), "PNG"),
    "translucent PNG": saved(smooth("RGBA"), "PNG"),
    "translucent gray PNG": saved(smooth("LA"), "PNG"),
    "BMP": saved(smooth(), "BMP"),
    "GIF": saved(smooth().quantize(200), "GIF"),
    "WebP": saved(smooth(), "WEBP", quality=95),
    "lossless WebP": saved(smooth(), "WEBP", lossless=True),
    "translucent WebP": saved(smooth("RGBA"), "WEBP", lossless=True, exact=True),
    "translucent lossy WebP": saved(smooth("RGBA"), "WEBP", quality=95, exact=True),
}


@pytest.mark.parametrize("name", FILES)
def test_a_caller_sees_what_training_saw(name):
    found = decode(FILES[name]).numpy().astype(int)
    # What is stored went through a JPEG, which takes colours at half the resolution.
    assert np.abs(found - stored_pixels(FILES[name])).mean() < 3


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_moving_webp_is_refused(mode):
    frames = [Image.new(mode, (64, 64), (shade, 0, 0)) for shade in (0, 100, 200)]
    content = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], quality=0)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(content)


@pytest.mark.parametrize("little", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_every_orientation_is_turned_upright(form, orientation, little):
    source = saved(smooth(size=(64, 48)), form, exif=exif(orientation, little))
    assert orientation_of(source) == orientation
    assert np.abs(decode(source).numpy() - stored_pixels(source)).mean() < 3


@pytest.mark.parametrize("orientation", [0, 9, 4000])
def test_an_orientation_that_is_none_turns_nothing(orientation):
    source = saved(smooth(), "JPEG", exif=exif(orientation))
    assert orientation_of(source) == 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"MM\0*\0\0\0\x08", b"II*\0\x08\0\0\0", b""]))
def test_broken_exif_is_no_error(data, start):
    assert 1 <= orientation_of(b"\xff\xd8\xff\xe1..Exif\0\0" + start + data) <= 8


def test_exif_of_many_entries_is_bounded():
    """65,535 entries in a directory of 20 bytes: none of them lies in it."""
    assert orientation_of(b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(10)) == 1


@pytest.mark.parametrize("name", ["WebP", "lossless WebP", "translucent WebP"])
def test_a_webp_bomb_is_refused_by_its_header(name):
    content = bytearray(FILES[name])
    kind = bytes(content[12:16])
    if kind == b"VP8 ":
        content[26:30] = b"\xff\x3f\xff\x3f"
    elif kind == b"VP8L":
        content[21:25] = b"\xff\xff\xff\x0f"
    else:
        content[24:30] = b"\xff" * 6
    with pytest.raises(tf.errors.InvalidArgumentError, match="too many pixels"):
        decode(bytes(content))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_hostile_bytes_are_pixels_or_an_error(name, data):
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content) - 1, 60)))] = data.draw(
            st.integers(0, 255)
        )
    content = content[: data.draw(st.integers(0, len(content)))]
    # Messages quote bytes.
    with contextlib.suppress(tf.errors.OpError, UnicodeDecodeError):
        assert decode(bytes(content)).shape == (64, 64, 3)
