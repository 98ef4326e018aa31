"""TensorProto to arrays and back, as TF Serving's gRPC does it."""

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from serving.server.errors import invalid, one_line

# In which field TF Serving answers; a client that reads `float_val` finds nothing in the
# `tensor_content` that `tf.make_tensor_proto` would write.
_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int64: "int64_val",
    tf.bool: "bool_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    **dict.fromkeys((tf.int32, tf.int16, tf.int8, tf.uint16, tf.uint8), "int_val"),
}


def read_tensor(name: str, proto: tensor_pb2.TensorProto, max_bytes: int) -> np.ndarray:
    """Return the array of an input.

    Args:
        name: of the input, for messages.
        proto: as it was sent. Fewer values than the shape has mean that the last is repeated.
        max_bytes: of the array: a few bytes could name a shape that fills the memory.

    Raises:
        RequestError: shape and values do not go together, or the array would be too large.
    """
    try:
        dtype = tf.as_dtype(proto.dtype)
        sizes = [dim.size for dim in proto.tensor_shape.dim]
        if proto.tensor_shape.unknown_rank or min(sizes, default=0) < 0:
            raise ValueError(f"shape {sizes} is not fully known")
        # Python's integers do not overflow.
        count = 1
        for size in sizes:
            count *= size
        if count * max(dtype.size or 0, 8) > max_bytes:
            raise ValueError(f"shape {sizes} has too many elements")
        if dtype != tf.string:
            return tf.make_ndarray(proto)
        return _read_strings(proto, sizes, count)
    except (TypeError, ValueError) as error:
        raise invalid(f"tensor parsing error: {name}: {one_line(error)}") from None


def write_tensor(array: np.ndarray, proto: tensor_pb2.TensorProto) -> None:
    """Write an output into an empty message."""
    if array.dtype == object:
        proto.dtype = tf.string.as_datatype_enum
        proto.string_val.extend(array.ravel().tolist())
    elif field := _FIELDS.get(tf.as_dtype(array.dtype)):
        proto.dtype = tf.as_dtype(array.dtype).as_datatype_enum
        getattr(proto, field).extend(array.ravel().tolist())
    else:
        proto.CopyFrom(tf.make_tensor_proto(array))
        return
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)


def _read_strings(proto: tensor_pb2.TensorProto, sizes: list[int], count: int) -> np.ndarray:
    values = list(proto.string_val)
    if proto.tensor_content or len(values) > count or (count and not values):
        raise ValueError(f"{len(values)} strings in string_val for shape {sizes}")
    values += values[-1:] * (count - len(values))
    array = np.empty(count, object)
    array[:] = values
    return array.reshape(sizes)
