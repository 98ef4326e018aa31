"""Batches of pictures of callers, in the graph: one that cannot be decoded fails none beside it."""

import tensorflow as tf

from records.pictures import PictureSpec
from tfcap.uploads import decode_upload


def decode_rows(image_bytes: tf.Tensor, picture: PictureSpec) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode a batch.

    Args:
        image_bytes: string [B], picture files; B may be 0.
        picture: how they are made ready.

    Returns:
        (uint8 [max(B, 1), size, size, 3], black where a row cannot be decoded and where there is
        none, whether each row was decoded, bool [B]).
    """
    size = picture.size
    rows = tf.shape(image_bytes)[0]
    row_specs = (tf.TensorSpec([], tf.int32), tf.TensorSpec([size, size, 3], tf.uint8))

    def decode(row, encoded):
        return row, decode_upload(encoded, picture)

    # TensorFlow sets the function of a dataset up anew at every call. With this attribute it takes
    # the function as it is, for the one device that decodes; without, it places it and divides it
    # among devices first, a fifth of the time of a picture of 500x375. `Dataset.map` knows no such
    # attribute.
    decode = tf.function(
        decode,
        input_signature=[tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.string)],
        autograph=False,
        experimental_attributes={"experimental_ints_on_device": True},
    ).get_concrete_function()

    def decoded(parallel: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the rows that can be decoded, behind a sentinel: (numbers, pixels)."""
        files = tf.data.Dataset.from_tensor_slices((tf.range(rows), image_bytes))
        arguments = {
            "input_dataset": tf.data.experimental.to_variant(files),
            "other_arguments": [],
            "f": decode,
            "output_types": [spec.dtype for spec in row_specs],
            "output_shapes": [spec.shape for spec in row_specs],
        }
        if parallel:
            calls = tf.constant(tf.data.AUTOTUNE, tf.int64)
            mapped = tf.raw_ops.ParallelMapDatasetV2(num_parallel_calls=calls, **arguments)
        else:
            mapped = tf.raw_ops.MapDataset(**arguments)
        pictures = tf.data.experimental.from_variant(mapped, row_specs).ignore_errors()
        # The sentinel comes first so that the batch never runs empty; its number is that of no row.
        sentinel = tf.data.Dataset.from_tensors((rows, tf.zeros([size, size, 3], tf.uint8)))
        whole_batch = sentinel.concatenate(pictures).batch(tf.cast(rows, tf.int64) + 1)
        return whole_batch.get_single_element()

    # One picture is decoded sooner than the threads for many have started.
    kept, pixels = tf.cond(rows > 1, lambda: decoded(True), lambda: decoded(False))
    # Where each row's pixels are; those of a row that failed are the sentinel's, which is at 0.
    places = tf.scatter_nd(kept[:, None], tf.range(tf.size(kept)), [rows + 1])[:rows]
    # An empty batch keeps the sentinel.
    return tf.gather(pixels, tf.pad(places, [[0, tf.cast(rows == 0, tf.int32)]])), places > 0
