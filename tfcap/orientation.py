"""Which way up a picture is, by its EXIF data, in the graph and with core ops only."""

import tensorflow as tf

from tfcap.rarely import rarely

_TAG = 0x0112  # EXIF 2.32, Orientation
_SHORT = 2  # bytes of its value
_ENTRY = 12  # bytes of an entry: tag (2), type (2), count (4), value (4)
_DIRECTORY = 65_536  # bytes of EXIF that are looked at: one JPEG segment is no longer
# What comes right before the data in a JPEG, and in a WebP of some writers; in a PNG; in a WebP,
# which states a length of 4 bytes in between.
_JPEG, _PNG, _WEBP = (b"Exif\0\0", 0), (b"eXIf", 0), (b"EXIF", 4)


def jpeg_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Find the orientation that a JPEG states; as `exif_orientation`, in fewer operations."""
    return _of_tail(_behind(encoded, *_JPEG))


def exif_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Find the orientation that a JPEG, PNG or WebP states.

    Args:
        encoded: string [], the file.

    Returns:
        int32 [], 1 to 8 as EXIF numbers them; 1, upright, where there is none or it makes no
        sense.
    """
    tail = tf.constant("")
    for mark in (_WEBP, _PNG, _JPEG):
        found = _behind(encoded, *mark)
        tail = tf.where(found == "", tail, found)
    return _of_tail(tail)


@rarely
def upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turn a square picture [S, S, C] upright; orientation int32 [], 1 to 8."""
    turned = tf.where(orientation > 4, tf.transpose(pixels, [1, 0, 2]), pixels)
    # Which sides the first row and the first column are, of the picture or of its transpose.
    down = tf.reduce_any(orientation == [3, 4, 7, 8])
    left = tf.reduce_any(orientation == [2, 3, 6, 7])
    turned = tf.where(down, turned[::-1], turned)
    return tf.where(left, turned[:, ::-1], turned)


def _behind(encoded: tf.Tensor, mark: bytes, gap: int) -> tf.Tensor:
    """Return what comes so many bytes behind the first such mark, string []; without one, ""."""
    # Not by `tf.strings.split`, which adds operations of ragged tensors.
    parts = tf.raw_ops.StringSplitV2(input=encoded[None], sep=mark, maxsplit=1).values
    after = tf.strings.substr(tf.strings.join([parts[-1], "\0" * gap]), gap, _DIRECTORY)
    return tf.where(tf.size(parts) > 1, after, "")


def _of_tail(tail: tf.Tensor) -> tf.Tensor:
    return tf.cond(tf.strings.length(tail) > 0, lambda: _of_directory(tail), lambda: 1)


@rarely
def _of_directory(data: tf.Tensor) -> tf.Tensor:
    """Find the orientation in a TIFF's first directory of tags, string []."""
    # Behind the end there are zeros, which are no tag.
    raw = tf.pad(tf.cast(tf.io.decode_raw(data, tf.uint8), tf.int64), [[0, 1]])
    little = raw[0] == ord("I")

    def number(at: tf.Tensor | int, width: int) -> tf.Tensor:
        """Read whole numbers of `width` bytes, at positions of any shape."""
        places = tf.range(width, dtype=tf.int64)
        places = tf.where(little, places, width - 1 - places)
        at = tf.cast(at, tf.int64)[..., None] + places
        found = tf.gather(raw, tf.clip_by_value(at, 0, tf.size(raw, tf.int64) - 1))
        return tf.reduce_sum(found * tf.cast(256 ** tf.range(width), tf.int64), axis=-1)

    start = number(4, 4)
    entries = start + 2 + _ENTRY * tf.range(number(start, _SHORT))
    found = tf.boolean_mask(entries, number(entries, 2) == _TAG)
    value = number(tf.concat([found, [tf.size(raw, tf.int64)]], axis=0)[0] + 8, _SHORT)
    return tf.where((value >= 1) & (value <= 8), tf.cast(value, tf.int32), 1)
