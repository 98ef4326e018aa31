"""Columns as TensorProtos and back."""

import math
import struct
from collections.abc import Sequence

from serving.client.errors import InvalidAnswer
from serving.client.messages import Tensor

# tensorflow/core/framework/types.proto
_FLOAT, _STRING = 1, 7


def write_tensor(column: Sequence[bytes | str], tensor: Tensor) -> None:
    """Fill in a string tensor of shape [B]; text is encoded as UTF-8."""
    tensor.dtype = _STRING
    tensor.tensor_shape.dim.add(size=len(column))
    tensor.string_val.extend(
        value.encode("utf-8") if isinstance(value, str) else value for value in column
    )


def read_tensor(name: str, tensor: Tensor) -> list:
    """Return a tensor's values as nested lists of floats or text.

    Raises:
        InvalidAnswer: it is of another type, or not whole.
    """
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    count = math.prod(shape)
    if tensor.dtype == _STRING:
        values = [value.decode("utf-8", "replace") for value in tensor.string_val]
    elif tensor.dtype == _FLOAT and tensor.tensor_content:
        content = tensor.tensor_content
        values = list(struct.unpack(f"<{len(content) // 4}f", content[: len(content) // 4 * 4]))
    elif tensor.dtype == _FLOAT:
        values = list(tensor.float_val)
    else:
        raise InvalidAnswer(f"{name} is of type {tensor.dtype}, neither float32 nor string")
    # A tensor of equal values may hold the last of them only once.
    values += values[-1:] * (count - len(values))
    if len(values) != count or not shape:
        raise InvalidAnswer(f"{name} of shape {shape} has {len(values)} values")
    return _nested(values, shape)


def _nested(values: list, shape: list[int]) -> list:
    if len(shape) == 1:
        return values
    size = math.prod(shape[1:])
    return [_nested(values[row * size : (row + 1) * size], shape[1:]) for row in range(shape[0])]
