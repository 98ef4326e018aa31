import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorflow.core.framework import tensor_pb2

from serving.server.errors import RequestError
from serving.server.proto_codec import read_tensor, write_tensor

TYPES = (
    tf.string,
    tf.float16,
    tf.float32,
    tf.float64,
    tf.int8,
    tf.int32,
    tf.int64,
    tf.uint64,
    tf.bool,
)
SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


@given(st.data(), st.sampled_from(TYPES), SHAPES)
def test_what_is_written_is_what_tensorflow_reads(data, dtype, shape):
    elements = st.binary(max_size=4) if dtype == tf.string else None
    array = data.draw(arrays.arrays(dtype.as_numpy_dtype, shape, elements=elements))
    proto = tensor_pb2.TensorProto()
    write_tensor(array, proto)
    for found in (tf.make_ndarray(proto), read_tensor("x", proto, 2**20)):
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


def test_one_value_fills_the_shape():
    proto = tf.make_tensor_proto(b"a", shape=[2, 2])
    assert read_tensor("x", proto, 2**20).tolist() == [[b"a", b"a"], [b"a", b"a"]]


@pytest.mark.parametrize("dtype", [tf.float32, tf.string])
def test_a_small_message_cannot_name_a_huge_shape(dtype):
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    for size in (2**40, 2**40):
        proto.tensor_shape.dim.add(size=size)
    proto.float_val.append(1.0)
    proto.string_val.append(b"a")
    with pytest.raises(RequestError, match=r"tensor parsing error: x: .* too many elements"):
        read_tensor("x", proto, 2**20)


@pytest.mark.parametrize(
    "proto",
    [
        tensor_pb2.TensorProto(dtype=99),
        tensor_pb2.TensorProto(dtype=1, tensor_content=b"abc"),
        tensor_pb2.TensorProto(dtype=7, string_val=[b"a", b"b"]),
        tensor_pb2.TensorProto(dtype=7),
        tensor_pb2.TensorProto(dtype=1, tensor_shape={"unknown_rank": True}),
        tensor_pb2.TensorProto(dtype=1, tensor_shape={"dim": [{"size": -1}]}),
    ],
    ids=["type", "content", "too many", "too few", "rank", "size"],
)
def test_what_contradicts_itself_is_refused(proto):
    with pytest.raises(RequestError, match="tensor parsing error: x"):
        read_tensor("x", proto, 2**20)
