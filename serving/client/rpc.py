"""TensorFlow Serving's gRPC interface."""

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import grpc

from serving.client import messages
from serving.client.calls import Columns
from serving.client.errors import (
    CaptionServiceError,
    Refused,
    ServerFailed,
    Unavailable,
    Unreachable,
)
from serving.client.results import VersionStatus
from serving.client.target import Target
from serving.client.tensors import read_tensor, write_tensor

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
_OPTIONS = [
    # Of a name with several addresses (a headless Service), all are used.
    ("grpc.lb_policy_name", "round_robin"),
    # Pictures are limited by the batch; answers of `explain` may pass the usual 4 MB.
    ("grpc.max_receive_message_length", 64 << 20),
]
# ModelVersionStatus.State of tensorflow_serving/apis/get_model_status.proto
_STATES = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
_MEANING = {
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: Unreachable,
    grpc.StatusCode.CANCELLED: Unreachable,
    grpc.StatusCode.INVALID_ARGUMENT: Refused,
    grpc.StatusCode.NOT_FOUND: Refused,
    grpc.StatusCode.FAILED_PRECONDITION: Refused,
    grpc.StatusCode.OUT_OF_RANGE: Refused,
    grpc.StatusCode.PERMISSION_DENIED: Refused,
    grpc.StatusCode.UNAUTHENTICATED: Refused,
    grpc.StatusCode.UNIMPLEMENTED: Refused,
}


class Transport:
    """Asks over a channel that is kept."""

    def __init__(self, target: Target, timeout: float):
        self._target, self._timeout = target, timeout
        self._channel = _channel(grpc, target)
        self._predict, self._status = _methods(self._channel)

    def predict(self, signature: str, columns: Columns) -> Columns:
        with _reaching(self._target):
            answer = self._predict(
                predict_request(self._target, signature, columns), timeout=self._timeout
            )
        return _read_outputs(answer)

    def status(self) -> tuple[VersionStatus, ...]:
        with _reaching(self._target):
            answer = self._status(_status_request(self._target), timeout=self._timeout)
        return _read_status(answer)

    def close(self) -> None:
        self._channel.close()


class AsyncTransport:
    """The same for asyncio."""

    def __init__(self, target: Target, timeout: float):
        self._target, self._timeout = target, timeout
        self._channel = _channel(grpc.aio, target)
        self._predict, self._status = _methods(self._channel)

    async def predict(self, signature: str, columns: Columns) -> Columns:
        with _reaching(self._target):
            answer = await self._predict(
                predict_request(self._target, signature, columns), timeout=self._timeout
            )
        return _read_outputs(answer)

    async def status(self) -> tuple[VersionStatus, ...]:
        with _reaching(self._target):
            answer = await self._status(_status_request(self._target), timeout=self._timeout)
        return _read_status(answer)

    async def close(self) -> None:
        await self._channel.close()


def _channel(library, target: Target):
    """Return a channel of `grpc` or `grpc.aio`; `grpcs` trusts the usual certificates."""
    address = urlsplit(target.url).netloc
    if target.url.startswith("grpcs"):
        return library.secure_channel(address, grpc.ssl_channel_credentials(), _OPTIONS)
    return library.insecure_channel(address, _OPTIONS)


def _methods(channel) -> tuple:
    """Return the methods Predict and GetModelStatus of a channel."""
    return (
        channel.unary_unary(
            _PREDICT,
            request_serializer=messages.PredictRequest.SerializeToString,
            response_deserializer=messages.PredictResponse.FromString,
        ),
        channel.unary_unary(
            _STATUS,
            request_serializer=messages.GetModelStatusRequest.SerializeToString,
            response_deserializer=messages.GetModelStatusResponse.FromString,
        ),
    )


def _fill_spec(spec, target: Target) -> None:
    spec.name = target.model
    if target.version is not None:
        spec.version.value = target.version
    if target.label is not None:
        spec.version_label = target.label


def predict_request(target: Target, signature: str, columns: Columns) -> messages.PredictRequest:
    """Return the request of a signature with its input columns, bytes or text [B] each."""
    request = messages.PredictRequest()
    _fill_spec(request.model_spec, target)
    request.model_spec.signature_name = signature
    for name, column in columns.items():
        write_tensor(column, request.inputs[name])
    return request


def _status_request(target: Target) -> messages.GetModelStatusRequest:
    request = messages.GetModelStatusRequest()
    _fill_spec(request.model_spec, target)
    return request


@contextlib.contextmanager
def _reaching(target: Target) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise _translated(target, error) from None


def _translated(target: Target, error: grpc.RpcError) -> CaptionServiceError:
    kind = _MEANING.get(error.code(), ServerFailed)
    return kind(f"{target.url} answers {error.code().name}: {error.details()}")


def _read_outputs(answer: messages.PredictResponse) -> Columns:
    return {name: read_tensor(name, tensor) for name, tensor in answer.outputs.items()}


def _read_status(answer: messages.GetModelStatusResponse) -> tuple[VersionStatus, ...]:
    return tuple(
        VersionStatus(one.version, _STATES.get(one.state, "UNKNOWN"), one.status.error_message)
        for one in answer.model_version_status
    )
