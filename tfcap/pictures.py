"""Pictures in the graph: from JPEG bytes to the pixels that an encoder sees.

The in-graph half of `records.pictures.PictureSpec`: what `normalise_picture` stored is decoded and
squashed to the square input; the export runs the same function on the bytes of its callers.
"""

import tensorflow as tf

from records.pictures import PictureSpec


def decode_picture(encoded: tf.Tensor, spec: PictureSpec) -> tf.Tensor:
    """Decode one stored picture.

    Args:
        encoded: string [], a JPEG of a record.
        spec: its `size` is the side of the result.

    Returns:
        uint8 [size, size, 3], RGB.

    Raises:
        tf.errors.InvalidArgumentError: in the graph, where the bytes are no JPEG.
    """
    # The accurate DCT equals Pillow's pixels exactly; the default is off by up to 9 levels.
    pixels = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    return squash(pixels, spec)


def decode_upload(encoded: tf.Tensor, spec: PictureSpec) -> tf.Tensor:
    """Decode one picture of unknown origin; as `decode_picture`, but JPEG, PNG, GIF or BMP.

    Of an animation the first frame counts. An orientation in EXIF is not applied.

    Raises:
        tf.errors.InvalidArgumentError: in the graph, where the bytes are no picture, or have
            more than `spec.max_pixels` pixels by their header.
    """
    is_jpeg = tf.io.is_jpeg(encoded)
    shape = tf.cond(
        is_jpeg,
        lambda: tf.cast(tf.image.extract_jpeg_shape(encoded)[:2], tf.int64),
        lambda: _header_shape(encoded),
    )
    limit = tf.debugging.assert_less_equal(
        tf.reduce_prod(shape), tf.int64.as_numpy_dtype(spec.max_pixels), "too many pixels"
    )
    with tf.control_dependencies([limit]):
        encoded = tf.identity(encoded)
    pixels = tf.cond(
        is_jpeg,
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    return squash(tf.ensure_shape(pixels, [None, None, 3]), spec)


def _header_shape(encoded: tf.Tensor) -> tf.Tensor:
    """Return int64 [2], the sides that the header of a PNG, GIF or BMP states.

    PNG: two big-endian uint32 at byte 16. GIF: two little-endian uint16 at 6. BMP: two
    little-endian int32 at 18, the height negative where rows run downwards.
    """

    def sides(start, dtype, little_endian):
        width = 2 * dtype.size
        raw = tf.strings.substr(tf.strings.join([encoded, "\0" * 32]), start, width)
        return tf.cast(tf.io.decode_raw(raw, dtype, little_endian=little_endian), tf.int64)

    def starts_with(magic):
        return tf.strings.substr(encoded, 0, len(magic)) == magic

    # A PNG side of 2^31 and more reads as negative: it is illegal, and refused by its square.
    return tf.abs(
        tf.case(
            [
                (starts_with(b"\x89PNG"), lambda: sides(16, tf.int32, False)),
                (starts_with(b"GIF8"), lambda: sides(6, tf.uint16, True)),
            ],
            default=lambda: sides(18, tf.int32, True),
        )
    )


def squash(pixels: tf.Tensor, spec: PictureSpec) -> tf.Tensor:
    """Resize uint8 [h, w, 3] to uint8 [size, size, 3], the aspect ratio given up, antialiased."""
    square = (spec.size, spec.size)

    def resized():
        scaled = tf.image.resize(pixels, square, method="bilinear", antialias=True)
        return tf.saturate_cast(tf.round(scaled), tf.uint8)

    # Few operations: beside the decoding of a picture that is square already, each of them counts.
    shape = [*square, 3]
    squashed = tf.cond(tf.reduce_all(tf.shape(pixels) == shape), lambda: pixels, resized)
    squashed.set_shape(shape)
    return squashed
