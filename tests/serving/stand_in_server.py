"""What of TensorFlow Serving's interface the documented requests need, over one SavedModel."""

import base64
import contextlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from concurrent import futures

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

PATH = re.compile(r"/v1/models/(\w+)(?:/versions/(\d+)|/labels/(\w+))?(:predict|/metadata)?")
LABELS = ("stable", "canary")


class Missing(Exception):
    """What is asked for is not there."""


class Model:
    """Version 1 of a model, with both labels on it."""

    def __init__(self, name: str, path: str):
        self.name, self.signatures = name, tf.saved_model.load(path).signatures

    def check(self, name: str, version: str | int | None, label: str | None) -> None:
        known = name == self.name and version in (None, "", "1", 1) and label in (None, "", *LABELS)
        if not known:
            raise Missing(f"Servable not found for request: {name} {version} {label}")

    def predict(self, signature: str, columns: dict) -> dict[str, np.ndarray]:
        if signature not in self.signatures:
            raise ValueError(f'Serving signature name: "{signature}" not found in signature def')
        inputs = {name: tf.constant(column, tf.string) for name, column in columns.items()}
        found = self.signatures[signature](**inputs)
        return {name: output.numpy() for name, output in found.items()}

    def input_names(self, signature: str) -> list[str]:
        return list(self.signatures[signature].structured_input_signature[1])

    def status(self) -> get_model_status_pb2.GetModelStatusResponse:
        answer = get_model_status_pb2.GetModelStatusResponse()
        one = answer.model_version_status.add(version=1, state="AVAILABLE")
        one.status.error_code = 0
        return answer

    def metadata(self) -> dict:
        def tensors(names):
            return {name: {"dtype": "DT_STRING", "name": f"{name}:0"} for name in names}

        definitions = {
            name: {
                "inputs": tensors(self.input_names(name)),
                "outputs": tensors(function.structured_outputs),
                "method_name": "tensorflow/serving/predict",
            }
            for name, function in self.signatures.items()
        }
        spec = {"name": self.name, "signature_name": "", "version": "1"}
        definition = {"signature_def": {"signature_def": definitions}}
        return {"model_spec": spec, "metadata": definition}


def _decoded(value):
    return base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value


def _listed(output: np.ndarray) -> list:
    if output.dtype == object:
        return np.vectorize(bytes.decode, otypes=[object])(output).tolist()
    return output.tolist()


def predict_json(model: Model, request: dict) -> dict:
    """Answer a request in rows or columns."""
    signature = request.get("signature_name", "serving_default")
    names = model.input_names(signature) if signature in model.signatures else []
    if "inputs" in request:
        columns = {
            name: [_decoded(value) for value in column]
            for name, column in request["inputs"].items()
        }
        found = model.predict(signature, columns)
        return {"outputs": {name: _listed(output) for name, output in found.items()}}
    rows = [row if set(names) & set(row) else {names[0]: row} for row in request["instances"]]
    columns = {name: [_decoded(row[name]) for row in rows] for name in names}
    found = {name: _listed(output) for name, output in model.predict(signature, columns).items()}
    predictions = [{name: found[name][row] for name in found} for row in range(len(rows))]
    return {"predictions": predictions}


def _handler(model: Model) -> type:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments):
            pass

        def do_GET(self):
            self._answer(b"")

        def do_POST(self):
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            try:
                code, found = 200, self._found(body)
            except Missing as error:
                code, found = 404, json.dumps({"error": str(error)})
            except ValueError as error:
                code, found = 400, json.dumps({"error": str(error)})
            self.send_response(code)
            self.send_header("Content-Length", str(len(found.encode())))
            self.end_headers()
            self.wfile.write(found.encode())

        def _found(self, body: bytes) -> str:
            if self.path == "/monitoring/prometheus/metrics":
                return "# TYPE :tensorflow:cc:saved_model:load_attempt_count counter\n"
            path = PATH.fullmatch(self.path)
            if not path:
                raise ValueError(f"Malformed request: {self.command} {self.path}")
            name, version, label, what = path.groups()
            model.check(name, version, label)
            if what == ":predict":
                return json.dumps(predict_json(model, json.loads(body)))
            if what:
                return json.dumps(model.metadata())
            return json_format.MessageToJson(
                model.status(),
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )

    return Handler


class Servicer(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    """Predict and GetModelStatus."""

    def __init__(self, model: Model):
        self._model = model

    def _check(self, spec, context) -> None:
        try:
            version = spec.version.value if spec.HasField("version") else None
            self._model.check(spec.name, version, spec.version_label)
        except Missing as error:
            context.abort(grpc.StatusCode.NOT_FOUND, str(error))

    def Predict(self, request, context):
        self._check(request.model_spec, context)
        columns = {name: tf.make_ndarray(one) for name, one in request.inputs.items()}
        try:
            signature = request.model_spec.signature_name or "serving_default"
            found = self._model.predict(signature, columns)
        except ValueError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        answer = predict_pb2.PredictResponse()
        for name, output in found.items():
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(output))
        return answer

    def GetModelStatus(self, request, context):
        self._check(request.model_spec, context)
        return self._model.status()


@contextlib.contextmanager
def serving(path: str, name: str) -> Iterator[tuple[str, str]]:
    """Serve a SavedModel; yields the base URL of REST and the address of gRPC."""
    model = Model(name, path)
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(model))
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    rpc = grpc.server(futures.ThreadPoolExecutor(4))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(model), rpc)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Servicer(model), rpc)
    port = rpc.add_insecure_port("127.0.0.1:0")
    rpc.start()
    try:
        yield f"http://127.0.0.1:{rest.server_port}", f"127.0.0.1:{port}"
    finally:
        rpc.stop(0)
        rest.shutdown()
        rest.server_close()
