"""Served models for tests of what talks to one."""

import dataclasses
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import grpc
import httpx
import numpy as np
import pytest
from PIL import Image
from server_thread import Running, running
from stand_in_export import save
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
from tiny_saved_model import NAME, write_tiny_model


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where version 1 of the model `tfcap` is served, labelled stable and canary.

    Attributes:
        rest: base URL, `http://HOST:PORT`.
        grpc: `HOST:PORT`.
        export: directory of the SavedModel that is served.
    """

    rest: str
    grpc: str
    export: Path


@pytest.fixture(scope="session")
def serving_endpoint(tmp_path_factory) -> Iterator[Endpoint]:
    """A served model with every signature of an export."""
    export = save(tmp_path_factory.mktemp("served"))
    with running(export.parent, "tfcap", labels=("stable", "canary")) as server:
        yield Endpoint(server.url, server.grpc, export)


@pytest.fixture(scope="session")
def pictures() -> list[bytes]:
    """Three JPEGs."""

    def draw(seed: int) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8 + seed, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG")
        return file.getvalue()

    return [draw(seed) for seed in range(3)]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """The base directory of version 1 of the tiny model. Not to be written to."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "1").parent


@pytest.fixture(scope="session")
def own_server(tiny_model) -> Iterator[Running]:
    """Our server with the tiny model, for tests that leave it as it is."""
    with running(tiny_model, NAME) as server:
        yield server


class Api(NamedTuple):
    """A server under test.

    Attributes:
        rest: a client whose base is the server.
        predictions: stub of PredictionService.
        models: stub of ModelService.
    """

    rest: httpx.Client
    predictions: prediction_service_pb2_grpc.PredictionServiceStub
    models: model_service_pb2_grpc.ModelServiceStub

    def predict(self, **body) -> httpx.Response:
        """Send a prediction to the model over REST."""
        return self.rest.post(f"/v1/models/{NAME}:predict", json=body)


@pytest.fixture(scope="session")
def api(request) -> Iterator[Api]:
    """The server named by the environment, else our own."""
    url = os.environ.get("TFCAP_SERVING_URL")
    address = os.environ.get("TFCAP_SERVING_GRPC", "localhost:8500")
    if not url:
        own = request.getfixturevalue("own_server")
        url, address = own.url, own.grpc
    with httpx.Client(base_url=url, timeout=30) as rest, grpc.insecure_channel(address) as channel:
        yield Api(
            rest,
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )
