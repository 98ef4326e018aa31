"""Pictures in the graph: from JPEG bytes to the pixels that an encoder sees.

The in-graph half of `records.pictures.PictureSpec`: what `normalise_picture` stored is decoded and
squashed to the square input. Pictures of callers, of any format: `tfcap.uploads`.
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
