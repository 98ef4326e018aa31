import base64
import json
import math

import numpy as np
import pytest
import tensorflow as tf
from grpc import StatusCode
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.server.errors import RequestError
from serving.server.json_codec import parse, read_inputs, write_outputs
from serving.server.model import Signature, TensorSpec

SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)
VALUES = {
    tf.string: st.binary(max_size=8),
    tf.float32: st.floats(width=32, allow_nan=False),
    tf.float64: st.floats(allow_nan=False),
    tf.int64: st.integers(-(2**63), 2**63 - 1),
    tf.uint8: st.integers(0, 255),
    tf.bool: st.booleans(),
}


def signature_of(**dtypes: tf.DType) -> Signature:
    specs = {name: TensorSpec(f"{name}:0", dtype, None) for name, dtype in dtypes.items()}
    return Signature("s", specs, specs)


def read(document: dict, **dtypes: tf.DType) -> dict[str, np.ndarray]:
    return read_inputs(parse(json.dumps(document).encode()), signature_of(**dtypes)).arrays


@st.composite
def tensors(draw) -> tuple[tf.DType, np.ndarray]:
    dtype = draw(st.sampled_from(sorted(VALUES, key=lambda each: each.name)))
    return dtype, draw(arrays.arrays(dtype.as_numpy_dtype, draw(SHAPES), elements=VALUES[dtype]))


@example((tf.float32, np.array([np.finfo(np.float32).max])), True)
@given(tensors(), st.booleans())
def test_what_is_written_is_read_back(tensor, as_rows):
    """Any value of any type and shape: an output that is sent as an input is the same array."""
    dtype, array = tensor
    written = json.loads(write_outputs({"x_bytes": array}, as_rows))
    (values,) = written.values()
    found = read({"instances" if as_rows else "inputs": values}, x_bytes=dtype)["x_bytes"]
    assert found.dtype == array.dtype and found.shape == array.shape
    assert found.tolist() == array.tolist()


@given(st.lists(st.tuples(st.text(max_size=5), st.floats(width=32)), min_size=1, max_size=4))
def test_rows_and_columns_say_the_same(pairs):
    texts, numbers = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    columns = {"inputs": {"text": texts, "number": numbers}}
    rows = {"instances": [{"number": number, "text": text} for text, number in pairs]}
    try:
        expected = read(columns, text=tf.string, number=tf.float32)
    except RequestError:  # half a surrogate pair is no text
        with pytest.raises(RequestError):
            read(rows, text=tf.string, number=tf.float32)
        return
    found = read(rows, text=tf.string, number=tf.float32)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
    by_row = json.loads(write_outputs(expected, as_rows=True))["predictions"]
    by_column = json.loads(write_outputs(expected, as_rows=False))["outputs"]
    assert [row["text"] for row in by_row] == by_column["text"]


def test_text_that_is_no_utf8_is_still_written():
    outputs = {"caption": np.array([b"caf\xe9"], object)}
    assert json.loads(write_outputs(outputs, True)) == {"predictions": ["caf\ufffd"]}


@given(st.binary(max_size=60))
@example(b"[" * 100_000)
@example(b'{"inputs":' * 20_000)
@example(b'{"inputs": [' + b"9" * 10_000 + b"]}")
@example(b'{"inputs": ' + b"[" * 900 + b"1" + b"]" * 900 + b"}")
@example(b'{"inputs": "\\ud800"}')
@example(b'{"inputs": [NaN]}')
@example(b'{"inputs": [-1e99999]}')
@example(b'{"inputs": "\xff"}')
@example(b'{"inputs": {"x": {"b64": "\xc3\xa4"}}}')
@example(b'{"instances": [[[]], [[1]]]}')
@example(b'{"instances": [{}, {}]}')
def test_whatever_comes_is_taken_or_refused_in_one_line(body):
    for dtype in (tf.string, tf.float32):
        try:
            read_inputs(parse(body), signature_of(x=dtype))
        except RequestError as error:
            assert error.code == StatusCode.INVALID_ARGUMENT
            assert len(error.message) < 600


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(st.sampled_from(["inputs", "instances"]), json_values)
def test_whatever_json_comes_is_taken_or_refused(key, value):
    for dtypes in ({"x": tf.string}, {"x": tf.float32, "y": tf.bool}):
        try:
            read({key: value}, **dtypes)
        except RequestError as error:
            assert error.code == StatusCode.INVALID_ARGUMENT


@given(st.binary(), st.randoms())
def test_b64_with_blanks_and_without_padding(content, random):
    text = base64.b64encode(content).decode().rstrip("=")
    for _ in range(3):
        position = random.randrange(len(text) + 1)
        text = text[:position] + random.choice(" \n\t") + text[position:]
    assert read({"inputs": [{"b64": text}]}, x=tf.string)["x"].tolist() == [content]


def test_only_what_is_not_finite_is_infinite():
    assert read({"inputs": [math.inf]}, x=tf.float32)["x"][0] == math.inf
    with pytest.raises(RequestError, match="too big"):
        parse(b'{"inputs": [1e400]}')


def test_what_has_no_form_in_json_is_said_so():
    with pytest.raises(RequestError) as raised:
        read({"inputs": [1.0]}, x=tf.bfloat16)
    assert raised.value.code == StatusCode.UNIMPLEMENTED
