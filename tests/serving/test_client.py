"""`serving.client` against a served model, against TensorFlow's own protos, and against faults."""

import asyncio
import dataclasses
import json
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

from serving.client import (
    AsyncCaptionClient,
    CaptionClient,
    InvalidAnswer,
    Refused,
    ServerFailed,
    Unavailable,
    Unreachable,
    calls,
    messages,
)
from serving.client.calls import BatchSpec
from serving.client.retries import RetrySpec
from serving.client.rpc import predict_request
from serving.client.target import Target
from serving.client.tensors import read_tensor

REPOSITORY = Path(__file__).resolve().parents[2]
QUICK = RetrySpec(attempts=3, first_pause=0.001)
# Method of a client, name of its signature, its texts, if it has some.
METHODS = [
    ("caption", "serving_default", None),
    ("complete", "complete", ("prompt", ["a dog", "naïve", ""])),
    ("score", "score", ("caption", ["a", "a red ball", "ça"])),
    ("beam", "beam", None),
    ("embed", "embed", None),
    ("explain", "explain", None),
]


def urls(endpoint) -> dict[str, str]:
    return {"rest": endpoint.rest, "grpc": f"grpc://{endpoint.grpc}"}


def nested(array: np.ndarray):
    """Return an array as nested tuples, strings as text."""
    if array.dtype == object:
        array = np.vectorize(bytes.decode, otypes=[object])(array)

    def frozen(value):
        return tuple(map(frozen, value)) if isinstance(value, list) else value

    return frozen(array.tolist())


def close(one, other) -> bool:
    """Compare nested tuples, numbers as JSON and float32 leave them."""
    if isinstance(one, tuple):
        same = isinstance(other, tuple) and len(one) == len(other)
        return same and all(map(close, one, other))
    return one == pytest.approx(other, rel=1e-5) if isinstance(one, float) else one == other


@pytest.fixture(scope="module")
def model(serving_endpoint):
    return tf.saved_model.load(str(serving_endpoint.export))


@pytest.mark.parametrize("kind", ["rest", "grpc"])
@pytest.mark.parametrize(("method", "signature", "texts"), METHODS, ids=lambda value: str(value))
def test_results_are_what_the_signature_gives(
    serving_endpoint, model, pictures, kind, method, signature, texts
):
    """One of the pictures is broken; batches of two cut the four rows in the middle."""
    given_pictures = [pictures[0], b"no picture", pictures[2]]
    inputs = {"image_bytes": tf.constant(given_pictures)}
    if texts:
        inputs[texts[0]] = tf.constant(texts[1])
    outputs = {
        name: nested(output.numpy())
        for name, output in model.signatures[signature](**inputs).items()
    }
    arguments = [given_pictures, *([texts[1]] if texts else [])]
    options = {"batches": BatchSpec(pictures=2)}
    with CaptionClient(urls(serving_endpoint)[kind], **options) as client:
        found = getattr(client, method)(*arguments)

    async def ask():
        async with AsyncCaptionClient(urls(serving_endpoint)[kind], **options) as client:
            return await getattr(client, method)(*arguments)

    assert asyncio.run(ask()) == found
    assert [bool(one.error) for one in found] == [False, True, False]
    for row, one in enumerate(found):
        fields = dataclasses.asdict(one)
        assert fields.keys() == outputs.keys()
        assert all(close(value, outputs[name][row]) for name, value in fields.items())


def test_explanation_has_its_words(serving_endpoint, pictures):
    with CaptionClient(serving_endpoint.rest) as client:
        [one] = client.explain(pictures[:1])
    assert " ".join(word.token for word in one.words) == one.caption
    for word in one.words:
        assert sum(map(sum, word.attention)) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["rest", "grpc"])
def test_versions_and_labels(serving_endpoint, pictures, kind):
    url = urls(serving_endpoint)[kind]
    for chosen in ({"version": 1}, {"label": "stable"}):
        with CaptionClient(url, **chosen) as client:
            [status] = client.status()
            assert (status.version, status.state, status.error) == (1, "AVAILABLE", "")
            assert client.caption(pictures[:1])[0].caption
    for wrong in ({"version": 7}, {"label": "nowhere"}, {"model": "other"}):
        with CaptionClient(url, **wrong) as client, pytest.raises(Refused):
            client.caption(pictures[:1])


def test_pictures_are_bytes_or_files(serving_endpoint, pictures, tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(pictures[0])
    with CaptionClient(serving_endpoint.rest) as client:
        one, two, three = client.caption([pictures[0], path, str(path)])
        assert one == two == three and client.caption([]) == ()
        with pytest.raises(FileNotFoundError):
            client.caption([tmp_path / "absent.jpg"])
        for wrong in (pictures[0], str(path), [b"x", None]):
            with pytest.raises(TypeError):
                client.caption(wrong)
        with pytest.raises(ValueError, match="one prompt for each picture: got 1 for 2"):
            client.complete([path, path], ["a"])


@given(
    sizes=st.lists(st.integers(0, 20), max_size=30),
    pictures=st.integers(1, 8),
    size=st.integers(1, 40),
)
def test_batches_keep_order_and_bounds(sizes, pictures, size):
    files = [bytes([index]) * count for index, count in enumerate(sizes)]
    texts = [str(index) for index in range(len(files))]
    batches = list(calls.requests(calls.SCORE, files, texts, BatchSpec(pictures, size)))
    assert [one for batch in batches for one in batch["image_bytes"]] == files
    assert [one for batch in batches for one in batch["caption"]] == texts
    for batch in batches:
        rows = batch["image_bytes"]
        assert 1 <= len(rows) <= pictures and len(rows) == len(batch["caption"])
        assert len(rows) == 1 or sum(map(len, rows)) <= size


@given(
    version=st.none() | st.integers(0, 2**40),
    label=st.none() | st.text(min_size=1, max_size=5),
    signature=st.text(max_size=8),
    columns=st.dictionaries(
        st.text(max_size=5), st.lists(st.binary(max_size=9), max_size=4), max_size=3
    ),
)
def test_requests_are_those_of_tensorflow_serving(version, label, signature, columns):
    label = None if version is not None else label
    target = Target("grpc://h:1", "some model", version, label)
    sent = predict_request(target, signature, columns).SerializeToString()
    expected = predict_pb2.PredictRequest()
    expected.model_spec.name, expected.model_spec.signature_name = "some model", signature
    if version is not None:
        expected.model_spec.version.value = version
    if label is not None:
        expected.model_spec.version_label = label
    for name, column in columns.items():
        expected.inputs[name].CopyFrom(tf.make_tensor_proto(column, tf.string, [len(column)]))
    assert predict_pb2.PredictRequest.FromString(sent) == expected


@given(
    shape=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    equal=st.booleans(),
    kind=st.sampled_from(["content", "fields", "text"]),
)
def test_answers_of_tensorflow_serving_are_read(shape, equal, kind):
    numbers = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 7
    values = np.zeros_like(numbers) if equal else numbers
    if kind == "text":
        values = values.astype(str).astype(object)
    response = predict_pb2.PredictResponse()
    tensor = response.outputs["some"]
    if kind == "fields":  # as TensorFlow Serving writes them, with equal values cut off
        tensor.dtype = 1
        for size in shape:
            tensor.tensor_shape.dim.add(size=size)
        tensor.float_val.extend(values.ravel()[: 1 if equal else None])
    else:
        tensor.CopyFrom(tf.make_tensor_proto(values))
    read = messages.PredictResponse.FromString(response.SerializeToString())
    assert read_tensor("some", read.outputs["some"]) == values.tolist()


def test_tensors_of_other_kinds_are_refused():
    for wrong in (tf.make_tensor_proto([1]), tf.make_tensor_proto(1.0)):
        read = messages.Tensor.FromString(wrong.SerializeToString())
        with pytest.raises(InvalidAnswer, match="some"):
            read_tensor("some", read)
    torn = tf.make_tensor_proto(np.ones([3], np.float32) / 3)
    torn.tensor_content, torn.tensor_shape.dim[0].size = b"\0" * 20, 3
    with pytest.raises(InvalidAnswer, match="5 values"):
        read_tensor("some", messages.Tensor.FromString(torn.SerializeToString()))


def test_states_have_the_names_of_tensorflow_serving():
    from serving.client.rpc import _STATES

    names = get_model_status_pb2.ModelVersionStatus.State.items()
    assert {number: name for name, number in names if number} == _STATES


def served_by(client: CaptionClient, handler) -> CaptionClient:
    """Put a function of requests in place of the server."""
    client._transport._http = httpx.Client(
        base_url="http://h:1", transport=httpx.MockTransport(handler)
    )
    return client


@pytest.mark.parametrize("code", [429, 503])
def test_a_full_server_is_asked_again(code):
    answers = [
        httpx.Response(code, json={"error": "full"}, headers={"Retry-After": "0"}),
        httpx.Response(code, text="<html>proxy</html>"),
        httpx.Response(
            200, json={"outputs": {"caption": ["a"], "log_prob": [-1.0], "error": [""]}}
        ),
    ]
    client = served_by(CaptionClient("http://h:1", retries=QUICK), lambda _: answers.pop(0))
    assert client.caption([b"x"])[0].caption == "a"
    answers = [httpx.Response(code, json={"error": "full"})] * 4
    with pytest.raises(Unavailable, match=f"answers {code}: full"):
        client.caption([b"x"])
    assert len(answers) == 1


@pytest.mark.parametrize(
    ("code", "kind"), [(400, Refused), (404, Refused), (413, Refused), (500, ServerFailed)]
)
def test_other_errors_are_raised_at_once_with_what_the_server_says(code, kind):
    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(code, json={"error": "no such thing"})

    client = served_by(CaptionClient("http://h:1", retries=QUICK), answer)
    with pytest.raises(kind, match=f"tfcap:predict answers {code}: no such thing"):
        client.caption([b"x"])
    assert len(asked) == 1
    assert json.loads(asked[0].content)["inputs"] == {"image_bytes": [{"b64": "eA=="}]}


@pytest.mark.parametrize(
    "answer",
    [
        {"outputs": [0.5]},
        {"outputs": {"caption": ["a"], "error": [""]}},
        {"outputs": {"caption": ["a", "b"], "log_prob": [-1.0], "error": [""]}},
        {"predictions": []},
        [],
    ],
)
def test_answers_of_another_model_are_refused(answer):
    client = served_by(CaptionClient("http://h:1"), lambda _: httpx.Response(200, json=answer))
    with pytest.raises(InvalidAnswer):
        client.caption([b"x"])


def test_no_server_and_no_answer_in_time():
    with (
        CaptionClient("http://127.0.0.1:9", retries=QUICK) as client,
        pytest.raises(Unreachable, match=r"127\.0\.0\.1:9 cannot be reached"),
    ):
        client.status()
    with (
        CaptionClient("grpc://127.0.0.1:9", retries=QUICK) as client,
        pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"),
    ):
        client.status()

    def late(request):
        raise httpx.ReadTimeout("late", request=request)

    with pytest.raises(Unreachable, match="in time"):
        served_by(CaptionClient("http://h:1"), late).caption([b"x"])


@pytest.mark.parametrize(
    ("code", "kind", "attempts"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Unavailable, 3),
        (grpc.StatusCode.INVALID_ARGUMENT, Refused, 1),
        (grpc.StatusCode.INTERNAL, ServerFailed, 1),
    ],
)
def test_grpc_errors(code, kind, attempts):
    asked = []

    def fail(request, context):
        asked.append(request)
        context.abort(code, "because")

    handler = grpc.unary_unary_rpc_method_handler(fail)
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(
                "tensorflow.serving.PredictionService", {"Predict": handler}
            )
        ]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    url = f"grpc://127.0.0.1:{port}"

    async def ask():
        async with AsyncCaptionClient(url, retries=QUICK) as client:
            await client.caption([b"x"])

    with CaptionClient(url, retries=QUICK) as client:
        with pytest.raises(kind, match=f"{code.name}: because"):
            client.caption([b"x"])
        assert len(asked) == attempts
    with pytest.raises(kind):
        asyncio.run(ask())
    assert len(asked) == 2 * attempts
    server.stop(0)


def test_pauses_grow_and_are_bounded():
    spec = RetrySpec(attempts=6, first_pause=1, longest_pause=4)
    for pause, whole in zip(spec.pauses(), [1, 2, 4, 4, 4], strict=True):
        assert whole / 2 <= pause <= whole
    assert spec.at_least(asked=3600, pause=0.5) == 4 and spec.at_least(asked=0, pause=0.5) == 0.5


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("localhost:8501", {}),
        ("ftp://localhost", {}),
        ("grpc://localhost:8500/v1", {}),
        ("http://localhost", {"version": 1, "label": "stable"}),
    ],
)
def test_what_is_no_target_is_refused_by_name(url, options):
    with pytest.raises(ValueError, match=r"url|version"):
        CaptionClient(url, **options)


def test_neither_tensorflow_nor_its_protos_are_imported():
    program = (
        "import sys, serving.client as c; c.CaptionClient('http://h:1'); c.CaptionClient('grpc://h:1');"
        "print(sorted({'tensorflow', 'tensorflow_serving', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
