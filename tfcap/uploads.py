"""Pictures of unknown origin, in the graph: from a caller's bytes to the pixels an encoder sees.

The in-graph counterpart of `records.pictures.normalise_picture`: the same formats, the same bound
on pixels before anything is decoded, turned upright by EXIF, flattened on white.
"""

import tensorflow as tf

from records.pictures import PictureSpec
from tfcap.orientation import exif_orientation, jpeg_orientation, upright
from tfcap.pictures import squash
from tfcap.rarely import rarely

FORMATS = "JPEG, PNG, GIF, BMP or WebP"
# Flags of a WebP's VP8X header, byte 20.
_MOVES, _ALPHA = 0x02, 0x10


def decode_upload(encoded: tf.Tensor, spec: PictureSpec) -> tf.Tensor:
    """Decode one picture.

    Of a GIF the first frame counts; a WebP that moves is refused.

    Args:
        encoded: string [], a JPEG, PNG, GIF, BMP or WebP.
        spec: its `size` is the side of the result.

    Returns:
        uint8 [size, size, 3], RGB, upright.

    Raises:
        tf.errors.InvalidArgumentError: in the graph, where the bytes are no picture, or have
            more than `spec.max_pixels` pixels by their header.
    """
    pixels, orientation = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: _decode_jpeg(encoded, spec.max_pixels),
        lambda: _decode_other(encoded, spec.max_pixels),
    )
    square = squash(tf.ensure_shape(pixels, [None, None, 3]), spec)
    return tf.cond(orientation > 1, lambda: upright(square, orientation), lambda: square)


def _decode_jpeg(encoded: tf.Tensor, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return (uint8 [h, w, 3], its orientation)."""
    shape = tf.image.extract_jpeg_shape(encoded)[:2]
    encoded = _bounded(encoded, tf.cast(shape, tf.int64), max_pixels)
    # The accurate DCT equals Pillow's pixels exactly; the default is off by up to 9 levels.
    pixels = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    return pixels, jpeg_orientation(encoded)


@rarely
def _decode_other(encoded: tf.Tensor, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return (uint8 [h, w, 3], its orientation) of what is no JPEG."""
    encoded = _bounded(encoded, _header_shape(encoded), max_pixels)

    def opaque():
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)

    def on_white():
        pixels = tf.io.decode_image(encoded, channels=4, expand_animations=False)
        colours = tf.cast(pixels[..., :3], tf.int32)
        alpha = tf.cast(pixels[..., 3:], tf.int32)
        return tf.cast((colours * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)

    # A PNG decodes with any number of channels, a WebP with its own alone. One that moves is
    # refused, since not even with alpha it has three: TensorFlow walks through all of its frames
    # for the first, and 3 kB can hold seconds of them.
    of_four = _starts_with(encoded, b"\x89PNG") | (_webp_flags(encoded) == _ALPHA)
    return tf.cond(of_four, on_white, opaque), exif_orientation(encoded)


def _bounded(encoded: tf.Tensor, shape: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Return a file, which fails where the sides [2] in its header make too many pixels."""
    # Not by `tf.debugging`, which adds a condition and its operations to the one that is needed.
    is_small = tf.reduce_prod(shape) <= max_pixels
    with tf.control_dependencies([tf.raw_ops.Assert(condition=is_small, data=["too many pixels"])]):
        return tf.identity(encoded)


def _header_shape(encoded: tf.Tensor) -> tf.Tensor:
    """Return int64 [2], the sides that the header of a PNG, GIF, BMP or WebP states.

    PNG: two big-endian uint32 at byte 16. GIF: two little-endian uint16 at 6. WebP, little-endian:
    two uint16 at 26, of which 14 bits count (VP8); 14 bits each from 21 on, less 1 (VP8L); two of
    3 bytes at 24, less 1 (VP8X). BMP: two little-endian int32 at 18, the height negative where
    rows run downwards.
    """
    header = tf.cast(_first_bytes(encoded, 32), tf.int64)

    def number(start, width, weights=(1, 1 << 8, 1 << 16, 1 << 24)):
        return tf.reduce_sum(header[start : start + width] * weights[:width])

    def png():
        big_endian = (1 << 24, 1 << 16, 1 << 8, 1)
        return tf.stack([number(16, 4, big_endian), number(20, 4, big_endian)])

    def bmp():
        sides = tf.stack([number(18, 4), number(22, 4)])
        return tf.minimum(sides, (1 << 32) - sides)

    def webp():
        kind = tf.strings.substr(encoded, 12, 4)
        lossless = number(21, 4)
        sides = {
            b"VP8 ": (number(26, 2) & 0x3FFF, number(28, 2) & 0x3FFF),
            b"VP8L": ((lossless & 0x3FFF) + 1, (lossless // 0x4000 & 0x3FFF) + 1),
            b"VP8X": (number(24, 3) + 1, number(27, 3) + 1),
        }
        found = tf.zeros([2], tf.int64)
        for name, pair in sides.items():
            found = tf.where(kind == name, tf.stack(pair), found)
        return found

    return tf.case(
        [
            (_starts_with(encoded, b"\x89PNG"), png),
            (_starts_with(encoded, b"GIF8"), lambda: tf.stack([number(6, 2), number(8, 2)])),
            (_is_webp(encoded), webp),
        ],
        default=bmp,
    )


def _webp_flags(encoded: tf.Tensor) -> tf.Tensor:
    """Return what a WebP's header says it has, of `_MOVES` and `_ALPHA`; uint8 [], 0 if no WebP."""
    header = _first_bytes(encoded, 32)
    kind = tf.strings.substr(tf.strings.join([encoded, "\0" * 16]), 12, 4)
    flags = tf.where(kind == b"VP8X", header[20] & (_MOVES | _ALPHA), tf.constant(0, tf.uint8))
    # A lossless picture alone has a bit of its own.
    flags = tf.where(kind == b"VP8L", header[24] & _ALPHA, flags)
    return tf.where(_is_webp(encoded), flags, tf.zeros_like(flags))


def _is_webp(encoded: tf.Tensor) -> tf.Tensor:
    is_webp = tf.strings.substr(tf.strings.join([encoded, "\0" * 12]), 8, 4) == b"WEBP"
    return _starts_with(encoded, b"RIFF") & is_webp


def _starts_with(encoded: tf.Tensor, magic: bytes) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, len(magic)) == magic


def _first_bytes(encoded: tf.Tensor, count: int) -> tf.Tensor:
    """Return uint8 [count], with zeros behind the end."""
    padded = tf.strings.join([tf.strings.substr(encoded, 0, count), "\0" * count])
    return tf.io.decode_raw(tf.strings.substr(padded, 0, count), tf.uint8)
