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
        # What `tf.image.resize` comes to, with a fifth of its operations: beside the decoding of
        # one picture, each of them counts.
        scaled = tf.raw_ops.ScaleAndTranslate(
            images=pixels[None],
            size=square,
            scale=tf.cast(square, tf.float32) / tf.cast(tf.shape(pixels)[:2], tf.float32),
            translation=(0.0, 0.0),
            kernel_type="triangle",
            antialias=True,
        )
        # A mean with weights that are 1 in sum: once it is rounded, it lies in 0..255.
        return tf.cast(tf.round(scaled[0]), tf.uint8)

    shape = [*square, 3]
    squashed = tf.cond(tf.reduce_all(tf.shape(pixels) == shape), lambda: pixels, resized)
    squashed.set_shape(shape)
    return squashed
