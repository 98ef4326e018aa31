"""What a client can send, withhold or break; over real sockets."""

import asyncio
import json
import socket
import threading
import time

import grpc
import httpx
import pytest
import tensorflow as tf
from server_thread import running
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from tiny_saved_model import NAME

from serving.server import intake, protocol
from serving.server.model import Model

PREDICT = f"/v1/models/{NAME}:predict"
ONE = {"instances": ["x"]}


class Gate(Model):
    """The tiny model, that waits while it is told to."""

    may_go = threading.Event()
    inside = threading.Event()

    def run(self, name, inputs):
        Gate.inside.set()
        Gate.may_go.wait(30)
        return super().run(name, inputs)


@pytest.fixture(scope="module")
def small(tiny_model):
    """A server with room for 10,000 bytes and one second."""
    with running(tiny_model, NAME, load=Gate, max_request_bytes=10_000, timeout=1.0) as server:
        yield server


@pytest.fixture(autouse=True)
def gate():
    Gate.may_go.set()
    Gate.inside.clear()
    yield Gate
    Gate.may_go.set()


def send(server, text: bytes) -> socket.socket:
    """Open a connection and send something."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(text)
    return connection


def predict_request(picture: bytes) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = NAME
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([picture]))
    return request


def head(length: int, extra: str = "") -> bytes:
    return f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{extra}\r\n".encode()


def answer(connection: socket.socket) -> bytes:
    """Return all that comes until the server closes the connection."""
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


def fine(server) -> None:
    """The server answers as ever."""
    found = httpx.post(server.url + PREDICT, json=ONE)
    assert found.json()["predictions"][0]["caption"] == "tiny: x"


def test_a_full_queue_is_429_and_resource_exhausted(tiny_model, gate):
    async def fill(small):
        async with httpx.AsyncClient(base_url=small.url, timeout=20) as rest:
            gate.may_go.clear()
            held = []
            for _ in range(3):  # one is in the model, two wait
                held.append(asyncio.ensure_future(rest.post(PREDICT, json=ONE)))
                while not gate.inside.is_set():
                    await asyncio.sleep(0.005)
            page = ""
            while "tfcap_queue_rows 2.0" not in page:
                page = (await rest.get("/monitoring/prometheus/metrics")).text
            refused = await rest.post(PREDICT, json=ONE)
            assert refused.status_code == 429 and "queue is full" in refused.json()["error"]
            assert refused.headers["retry-after"] == "1"
            with grpc.insecure_channel(small.grpc) as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                with pytest.raises(grpc.RpcError) as raised:
                    stub.Predict(predict_request(b"x"))
                assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            gate.may_go.set()
            return await asyncio.gather(*held)

    with running(tiny_model, NAME, load=Gate, max_batch_size=1, queue_size=2) as server:
        responses = asyncio.run(fill(server))
    assert [response.status_code for response in responses] == [200, 200, 200]


def test_an_answer_that_takes_too_long_is_504_and_deadline_exceeded(small, gate):
    gate.may_go.clear()
    found = httpx.post(small.url + PREDICT, json=ONE, timeout=20)
    assert found.status_code == 504 and found.json() == {"error": "Timed out after 1 seconds"}
    gate.may_go.set()
    fine(small)


def test_a_large_body_is_413_before_it_is_read(small, monkeypatch):
    monkeypatch.setattr(intake, "LINGER_SECONDS", 0.2)
    said = answer(send(small, head(10**12)))
    assert said.startswith(b"HTTP/1.1 413") and b'{"error": "The body is larger than 10000' in said
    chunks = b"1000\r\n" + b" " * 4096 + b"\r\n"
    chunked = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    assert answer(send(small, chunked + 3 * chunks)).startswith(b"HTTP/1.1 413")
    # A client that asks first is told so instead of "100 Continue".
    said = answer(send(small, head(10**6, "Expect: 100-continue\r\n")))
    assert said.startswith(b"HTTP/1.1 413")
    # One that sends all of it before it reads gets the answer, and no reset.
    found = httpx.post(small.url + PREDICT, content=b" " * 5_000_000)
    assert found.status_code == 413
    fine(small)


def test_a_body_that_does_not_come_is_408(small):
    start = time.monotonic()
    said = answer(send(small, head(100) + b'{"instances"'))
    assert said.startswith(b"HTTP/1.1 408") and time.monotonic() - start < 10


def test_a_head_that_does_not_come_is_cut_off(small, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    for begun in (b"", b"POST /v1/"):
        with send(small, begun) as connection, pytest.raises((ConnectionError, AssertionError)):
            assert connection.recv(1) != b""
    # A second request's head on the same connection, too; dripping does not help.
    body = json.dumps({"instances": ["x"]}).encode()
    with send(small, head(len(body)) + body) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        start = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - start < 5:
                connection.sendall(b"P")
                time.sleep(0.05)


def test_a_client_that_goes_away_hurts_nobody(small, gate):
    body = json.dumps({"instances": ["x"]}).encode()
    send(small, head(100) + b"half of it").close()
    gate.may_go.clear()
    send(small, head(len(body)) + body).close()
    gate.may_go.set()
    fine(small)


def test_bodies_do_not_fill_the_memory(small):
    """Eight bodies of the largest size are read at once; more have to come later."""
    half = [send(small, head(10_000) + b" " * 9_999) for _ in range(8)]
    time.sleep(0.2)
    said = answer(send(small, head(10_000) + b" " * 9_999))
    assert said.startswith(b"HTTP/1.1 429")
    for connection in half:
        answer(connection)
    fine(small)


@pytest.mark.parametrize("text", [b"nonsense\r\n\r\n", b"GET /" + b"x" * 100_000])
def test_what_is_no_http_is_400(small, text):
    assert answer(send(small, text)).startswith(b"HTTP/1.1 400")


def test_a_deadline_of_the_client_counts(small, gate):
    gate.may_go.clear()
    with grpc.insecure_channel(small.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            stub.Predict(predict_request(b"x"), timeout=0.1)
        assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        with pytest.raises(grpc.RpcError) as raised:
            stub.Predict(predict_request(b"x" * 20_000))
        assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    gate.may_go.set()
    fine(small)


def test_metrics_have_tf_servings_names(small):
    fine(small)
    page = httpx.get(small.url + "/monitoring/prometheus/metrics").text
    assert f':tensorflow:serving:request_count{{model_name="{NAME}",status="OK"}}' in page
    assert 'request_latency_bucket{API="Predict",entrypoint="REST",le=' in page
    assert httpx.get(small.url + "/healthz").json() == {"status": "ok"}
