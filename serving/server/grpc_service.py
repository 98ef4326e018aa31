"""The gRPC interface of TF Serving: PredictionService and ModelService.

Names and codes are those of `tensorflow_serving/servables/tensorflow/predict_util.cc` and
`model_servers/prediction_service_impl.cc`.
"""

from collections.abc import Sequence
from typing import NoReturn

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.server.core import Core, only_signature_def
from serving.server.errors import RequestError, invalid
from serving.server.model import DEFAULT_SIGNATURE, Arrays, Signature
from serving.server.proto_codec import read_tensor, write_tensor
from serving.server.versions import ModelSpec, Version

Context = grpc.aio.ServicerContext


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predictions and metadata. What is not here answers UNIMPLEMENTED, as gRPC does."""

    def __init__(self, core: Core, max_bytes: int):
        """Make the service; `max_bytes` is of one input's array."""
        self._core = core
        self._max_bytes = max_bytes

    async def Predict(
        self, request: predict_pb2.PredictRequest, context: Context
    ) -> predict_pb2.PredictResponse:
        response = predict_pb2.PredictResponse()

        def read(version: Version) -> tuple[Signature, Arrays]:
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            signature = version.model.signatures.get(name)
            if signature is None:
                raise RequestError(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f'Serving signature key "{name}" not found.',
                )
            _check_filter(request.output_filter, signature)
            response.model_spec.signature_name = name
            return signature, {
                key: read_tensor(key, tensor, self._max_bytes)
                for key, tensor in request.inputs.items()
            }

        try:
            spec = _spec(request)
            left = context.time_remaining()
            found = await self._core.predict(spec, "GRPC", read, left)
        except RequestError as error:
            await _abort(context, error)
        response.model_spec.name = spec.name
        response.model_spec.version.value = found.version
        for name in request.output_filter or found.outputs:
            write_tensor(found.outputs[name], response.outputs[name])
        return response

    async def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: Context
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        try:
            spec = _spec(request)
            only_signature_def(request.metadata_field)
            return self._core.metadata(spec)
        except RequestError as error:
            await _abort(context, error)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """The status of the model."""

    def __init__(self, core: Core):
        self._core = core

    async def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: Context
    ) -> get_model_status_pb2.GetModelStatusResponse:
        try:
            return self._core.status(_spec(request))
        except RequestError as error:
            await _abort(context, error)


def make_server(core: Core, max_bytes: int) -> grpc.aio.Server:
    """Return a gRPC server with both services, without a port yet."""
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", max_bytes),
            ("grpc.max_send_message_length", -1),
            # Two servers on one port would each get some of the requests.
            ("grpc.so_reuseport", 0),
        ]
    )
    service = PredictionService(core, max_bytes)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(core), server)
    return server


def _spec(request: predict_pb2.PredictRequest) -> ModelSpec:
    """Return which model a request wants; it may be any message with a model_spec."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec: model_pb2.ModelSpec = request.model_spec
    version = spec.version.value if spec.HasField("version") else None
    return ModelSpec(spec.name, version, spec.version_label)


def _check_filter(names: Sequence[str], signature: Signature) -> None:
    for number, name in enumerate(names):
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the "
                f"set {{{','.join(sorted(signature.outputs))}}}."
            )
        if name in names[:number]:
            raise invalid(f"duplicate output tensor alias: {name}")


async def _abort(context: Context, error: RequestError) -> NoReturn:
    await context.abort(error.code, error.message)
