"""Batches of pictures of callers: what a bad row does to its neighbours, which is nothing."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from records.pictures import PictureSpec
from tfcap.rows import decode_rows
from tfcap.uploads import decode_upload

SPEC = PictureSpec(size=32)
decode = tf.function(
    lambda rows: decode_rows(rows, SPEC), input_signature=[tf.TensorSpec([None], tf.string)]
)


@pytest.fixture(scope="module")
def files(jpeg):
    """Three whole pictures, and two that are none."""
    return [jpeg(seed) for seed in range(3)] + [b"", jpeg(0)[:99]]


@settings(deadline=None, max_examples=30)
@given(chosen=st.lists(st.integers(0, 4), max_size=6))
def test_each_row_has_its_own_pixels_or_none(files, chosen):
    pixels, good = decode(tf.constant([files[which] for which in chosen], tf.string))
    assert good.numpy().tolist() == [which < 3 for which in chosen]
    assert pixels.dtype == tf.uint8 and pixels.shape == (max(len(chosen), 1), 32, 32, 3)
    for row, which in enumerate(chosen):
        expected = decode_upload(tf.constant(files[which]), SPEC) if which < 3 else tf.zeros([])
        np.testing.assert_array_equal(
            pixels[row], np.broadcast_to(expected, [32, 32, 3]), f"row {row} of {chosen}"
        )


def test_what_a_jpeg_does_not_need_is_apart():
    """The function of the dataset is set up at every call: it holds what nearly all rows need."""
    graph = decode.get_concrete_function().graph.as_graph_def()
    functions = {function.signature.name: function for function in graph.library.function}

    def operations(name):
        """Count those of a function and of all that TensorFlow writes in its place."""
        calls = [
            value.func.name for node in functions[name].node_def for value in node.attr.values()
        ]
        inner = [call for call in calls if call and not functions[call].attr["_noinline"].b]
        return len(functions[name].node_def) + sum(map(operations, inner))

    mapped = [name for name in functions if "_decode_" in name and "other" not in name]
    assert mapped and all(operations(name) < 150 for name in mapped), list(map(operations, mapped))
