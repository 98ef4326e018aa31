"""JSON to arrays and arrays to JSON, as TF Serving's REST does it.

The rules are those of `tensorflow_serving/util/json_tensor.cc`: rows under `instances` or columns
under `inputs`; strings as they are or as `{"b64": ...}`; outputs of strings whose name ends in
`_bytes` come back as b64.
"""

import base64
import binascii
import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from grpc import StatusCode

from serving.server.errors import RequestError, invalid
from serving.server.model import Arrays, Signature, type_name

BYTES_SUFFIX = "_bytes"
_INTEGERS = (tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64)
_FLOATS = (tf.float32, tf.float64)
_SHOWN = 80
# No more than NumPy's and TensorFlow's.
_MAX_RANK = 32


class Inputs(NamedTuple):
    """The inputs of a request.

    Attributes:
        arrays: by name.
        as_rows: whether they came as rows; the answer goes back in the same form.
    """

    arrays: Arrays
    as_rows: bool


def parse(body: bytes) -> dict[str, Any]:
    """Parse the body of a request.

    Raises:
        RequestError: it is no JSON object that TF Serving would take.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(str(body, "utf-8"), parse_float=_finite)
    except RecursionError:
        raise invalid("JSON Parse error: lists or objects are nested too deeply") from None
    except ValueError as error:  # no JSON, no UTF-8, or a number of thousands of digits
        raise invalid(f"JSON Parse error: Invalid value: {error}") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_shown(document)} Is not object")
    return document


def signature_name(document: dict[str, Any], default: str) -> str:
    """Return the name of the signature that a request wants.

    Raises:
        RequestError: it is no string.
    """
    name = document.get("signature_name", default)
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {_shown(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name or default


def read_inputs(document: dict[str, Any], signature: Signature) -> Inputs:
    """Read the inputs of a signature from a parsed request.

    Raises:
        RequestError: they are not there, or not of the right form or type.
    """
    if "instances" in document and "inputs" in document:
        raise invalid(
            f"JSON Value: {_shown(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist"
        )
    if "instances" in document:
        columns = _columns_of_rows(document["instances"], signature)
    elif "inputs" in document:
        columns = _columns(document["inputs"], signature)
    else:
        raise invalid("Missing 'inputs' or 'instances' key")
    arrays = {
        name: _array(column, signature.inputs[name].dtype, name) for name, column in columns.items()
    }
    return Inputs(arrays, "instances" in document)


def write_outputs(outputs: Arrays, as_rows: bool) -> bytes:
    """Write the body of an answer.

    Raises:
        RequestError: an output's type has no form in JSON; the rows of the outputs do not agree.
    """
    columns = {name: _json_values(name, array) for name, array in outputs.items()}
    if not as_rows:
        content = columns if len(columns) > 1 else next(iter(columns.values()))
        return json.dumps({"outputs": content}).encode("ascii")
    rows = {len(array) if array.ndim else 0 for array in outputs.values()}
    if len(rows) > 1 or 0 in rows:
        raise invalid(f"Tensors have inconsistent batch sizes: {sorted(rows)}")
    if len(columns) > 1:
        predictions = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
    else:
        (predictions,) = columns.values()
    return json.dumps({"predictions": predictions}).encode("ascii")


def _columns_of_rows(rows: Any, signature: Signature) -> dict[str, list]:
    """Return one list for each input from the value of `instances`."""
    if not isinstance(rows, list):
        raise invalid(f"JSON Value: {_shown(rows)} Excepting 'instances' to be an list/array")
    if not rows:
        raise invalid("JSON Value: [] No values in 'instances' array")
    if not _is_named(rows[0]):
        for number, row in enumerate(rows):
            if _is_named(row):
                raise invalid(f"Expecting value/list but got object at item {number} of input list")
        return {_only_input(signature, "instances is a plain list"): rows}
    names = signature.inputs.keys()
    for number, row in enumerate(rows):
        if not _is_named(row):
            raise invalid(f"Expecting object but got list at item {number} of input list")
        if row.keys() != names:
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. JSON object: "
                f"{_shown(row)} keys must be equal to: {','.join(sorted(names))}"
            )
    return {name: [row[name] for row in rows] for name in names}


def _columns(value: Any, signature: Signature) -> dict[str, Any]:
    """Return one value for each input from the value of `inputs`."""
    if not _is_named(value):
        return {_only_input(signature, "inputs is a plain value/list"): value}
    for name in signature.inputs:
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: value[name] for name in signature.inputs}


def _only_input(signature: Signature, what: str) -> str:
    if len(signature.inputs) > 1:
        raise invalid(
            f"{what}, but expecting an object as multiple input tensors required: "
            f"{','.join(sorted(signature.inputs))}"
        )
    return next(iter(signature.inputs))


def _is_named(value: Any) -> bool:
    """Tell whether a value is an object of named inputs, which one of b64 is not."""
    return isinstance(value, dict) and not _is_b64(value)


def _is_b64(value: dict) -> bool:
    return len(value) == 1 and isinstance(value.get("b64"), str)


def _array(value: Any, dtype: tf.DType, name: str) -> np.ndarray:
    """Return the array of one input from a value or nested lists of values."""
    shape, leaves = _flatten(value, name)
    converted = [_converter(dtype)(leaf) for leaf in leaves]
    if dtype == tf.string:
        # Not np.array(converted): that would take the bytes apart, or pad them.
        array = np.empty(len(converted), object)
        array[:] = converted
    else:
        array = np.array(converted, dtype.as_numpy_dtype)
    return array.reshape(shape)


def _flatten(value: Any, name: str) -> tuple[tuple[int, ...], list]:
    """Return the shape and the leaves of nested lists; all lists of a level are of one length."""
    shape, level = [], [value]
    while level and isinstance(level[0], list):
        size = len(level[0])
        for item in level:
            if not isinstance(item, list):
                raise invalid(
                    f"input {name}: JSON Value: {_shown(item)} found at incorrect level: "
                    f"{len(shape) + 1} in the JSON DOM, where lists are"
                )
            if len(item) != size:
                raise invalid(
                    f"input {name}: Encountered list at unexpected size: {len(item)} at level: "
                    f"{len(shape)} expected size: {size}"
                )
        shape.append(size)
        if len(shape) > _MAX_RANK:
            raise invalid(f"input {name}: lists are nested more than {_MAX_RANK} deep")
        level = [leaf for item in level for leaf in item]
    if any(isinstance(leaf, list) for leaf in level):
        raise invalid(f"input {name}: Encountered list at unexpected level: {len(shape)}")
    return tuple(shape), level


def _converter(dtype: tf.DType) -> Callable[[Any], Any]:
    """Return what turns a leaf into a value of a type."""
    if dtype == tf.string:
        return _to_bytes
    if dtype == tf.bool:
        return lambda leaf: leaf if isinstance(leaf, bool) else _refuse(leaf, dtype)
    if dtype in _FLOATS:
        return lambda leaf: _to_float(leaf, dtype)
    if dtype in _INTEGERS:
        return lambda leaf: (
            leaf
            if isinstance(leaf, int)
            and not isinstance(leaf, bool)
            and dtype.min <= leaf <= dtype.max
            else _refuse(leaf, dtype)
        )
    raise RequestError(
        StatusCode.UNIMPLEMENTED, f"Conversion of JSON values to type: {type_name(dtype)}"
    )


def _to_bytes(leaf: Any) -> bytes:
    try:
        if isinstance(leaf, str):
            return leaf.encode("utf-8")
        if isinstance(leaf, dict):
            return _decode_b64(leaf)
    except UnicodeEncodeError:
        raise invalid("JSON Parse error: The surrogate pair in string is invalid.") from None
    return _refuse(leaf, tf.string)


def _decode_b64(leaf: dict) -> bytes:
    """Return the bytes of an object of b64, in the standard alphabet."""
    if not _is_b64(leaf):
        raise invalid(f"JSON Value: {_shown(leaf)} not formatted correctly for base64 data")
    text = leaf["b64"]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        # What absl::Base64Unescape takes beside the canonical form.
        text = "".join(text.split()).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def _to_float(leaf: Any, dtype: tf.DType) -> float:
    if isinstance(leaf, bool) or not isinstance(leaf, (int, float)):
        return _refuse(leaf, dtype)
    whole = 2**53 - 1 if dtype == tf.float64 else 2**24 - 1
    if isinstance(leaf, int):
        lost = abs(leaf) > whole
    else:  # 3.4028235e+38 is above the largest float32, and becomes it by rounding
        with np.errstate(over="ignore"):
            lost = not math.isinf(leaf) and np.isinf(np.float64(leaf).astype(dtype.as_numpy_dtype))
    if lost:
        raise invalid(
            f"Cannot convert JSON value: {_shown(leaf)} to {type_name(dtype)} "
            "without loss of precision."
        )
    return leaf


def _finite(text: str) -> float:
    """Read a decimal number; infinity is written as such, and not as a number that is too big."""
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"Number too big to be stored in double: {text[:_SHOWN]}")
    return value


def _refuse(leaf: Any, dtype: tf.DType) -> Any:
    kinds = {str: "String", dict: "Object", bool: str(leaf), type(None): "Null", list: "Array"}
    raise invalid(
        f"JSON Value: {_shown(leaf)} Type: {kinds.get(type(leaf), 'Number')} "
        f"is not of expected type: {type_name(dtype)}"
    )


def _shown(value: Any) -> str:
    """Return a value as JSON, cut short; only so much of it is written at all."""
    text = ""
    try:
        for part in json.JSONEncoder(ensure_ascii=True).iterencode(value):
            text += part[: _SHOWN + 1]
            if len(text) > _SHOWN:
                return text[:_SHOWN] + "..."
    except (RecursionError, ValueError):  # nested deeply, or a number of thousands of digits
        return text[:_SHOWN] + "..."
    return text


def _json_values(name: str, array: np.ndarray) -> Any:
    """Return an output as nested lists of what JSON knows."""
    if array.dtype == object:
        write = _write_bytes if name.endswith(BYTES_SUFFIX) else _write_text
        flat = np.empty(array.size, object)
        flat[:] = [write(value) for value in array.ravel()]
        return flat.reshape(array.shape).tolist()
    if array.dtype == np.float32:
        # By way of its shortest decimal, so that 0.2 does not become 0.20000000298023224.
        return array.astype(str).astype(np.float64).tolist()
    if array.dtype == bool or array.dtype == np.float64 or array.dtype.kind in "iu":
        return array.tolist()
    raise invalid(f"Failed to write JSON value for tensor type: {type_name(array.dtype)}")


def _write_bytes(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode("ascii")}


def _write_text(value: bytes) -> str:
    return value.decode("utf-8", errors="replace")
