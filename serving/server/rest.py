"""The REST interface of TF Serving.

Paths and the order of checks are those of `http_rest_api_util.cc` and `http_rest_api_handler.cc` in
`tensorflow_serving/model_servers/`, the statuses those of `http_server.cc`.
"""

import json
import re
from typing import NamedTuple
from urllib.parse import unquote

from google.protobuf.json_format import MessageToDict
from grpc import StatusCode
from starlette.types import Receive, Scope, Send
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.server import json_codec
from serving.server.core import SIGNATURE_DEF, Core
from serving.server.errors import RequestError, invalid
from serving.server.intake import Intake, Refused, refuse, respond
from serving.server.model import DEFAULT_SIGNATURE, Arrays, Signature
from serving.server.versions import ModelSpec, Version

_WHICH = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICT = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_WHICH}:(?P<method>classify|regress|predict)", re.IGNORECASE
)
_STATUS = re.compile(
    rf"/v1/models(?:/(?P<name>[^/:]+))?{_WHICH}(?:/(?P<metadata>metadata))?", re.IGNORECASE
)
_INT64_MAX = 2**63 - 1
_HTTP = {
    StatusCode.CANCELLED: 499,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ABORTED: 409,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
}


class Question(NamedTuple):
    """What a path asks for.

    Attributes:
        spec: of which model.
        what: `predict`, `classify`, `regress`, `metadata` or `status`.
    """

    spec: ModelSpec
    what: str


class RestApi:
    """An ASGI application of all that lies under /v1/."""

    def __init__(self, core: Core, intake: Intake):
        self._core = core
        self._intake = intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            question = read_path(scope["method"], scope["raw_path"].decode("ascii"))
            if question.what == "predict":
                body = await self._predict(question.spec, scope, receive)
            else:
                body = self._describe(question)
        except RequestError as error:
            status = _HTTP.get(error.code, 500)
            later = {"retry_after": "1"} if status in (429, 503) else {}
            await respond(send, status, error_body(error.message), **later)
        except Refused as error:
            await refuse(receive, send, error.status, error_body(error.message))
        else:
            await respond(send, 200, body)

    async def _predict(self, spec: ModelSpec, scope: Scope, receive: Receive) -> bytes:
        body = await self._intake.read(scope, receive)
        as_rows = False

        def read(version: Version) -> tuple[Signature, Arrays]:
            nonlocal as_rows
            name = json_codec.signature_name(document, DEFAULT_SIGNATURE)
            signature = version.model.signatures.get(name)
            if signature is None:
                raise invalid(f'Serving signature name: "{name}" not found in signature def')
            arrays, as_rows = json_codec.read_inputs(document, signature)
            document.clear()
            return signature, arrays

        try:
            document = json_codec.parse(body)
        finally:
            self._intake.done(len(body))
            del body
        prediction = await self._core.predict(spec, "REST", read)
        return json_codec.write_outputs(prediction.outputs, as_rows)

    def _describe(self, question: Question) -> bytes:
        if question.what == "status":
            content = MessageToDict(
                self._core.status(question.spec), always_print_fields_with_no_presence=True
            )
        elif question.what == "metadata":
            content = _metadata(self._core.metadata(question.spec))
        else:
            raise RequestError(
                StatusCode.UNIMPLEMENTED,
                f"{question.what} is not served: send the signature's inputs to :predict",
            )
        return json.dumps(content, indent=1).encode("ascii")


def read_path(method: str, path: str) -> Question:
    """Return what a request is about.

    Args:
        method: of HTTP.
        path: as it was sent, still percent-encoded, without the query.

    Raises:
        RequestError: it is about nothing that is here.
    """
    pattern = {"POST": _PREDICT, "GET": _STATUS}.get(method)
    found = pattern and pattern.fullmatch(path)
    if not found:
        raise invalid(f"Malformed request: {method} {path}")
    parts = found.groupdict()
    version = int(parts["version"]) if parts["version"] else None
    if version is not None and version > _INT64_MAX:
        raise invalid(f"Failed to convert version: {parts['version']} to numeric.")
    if not parts["name"]:
        raise invalid("Missing model name in request.")
    spec = ModelSpec(unquote(parts["name"]), version, unquote(parts["label"] or ""))
    what = parts["method"].lower() if method == "POST" else parts["metadata"] or "status"
    return Question(spec, what.lower())


def error_body(message: str) -> bytes:
    """Return the body of an answer that says what is wrong, in one line."""
    return json.dumps({"error": " ".join(message.split())}).encode("ascii")


def _metadata(response: get_model_metadata_pb2.GetModelMetadataResponse) -> dict:
    """Return metadata in TF Serving's form, which is not that of protobuf's Any."""
    options = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    return {
        "model_spec": MessageToDict(response.model_spec, **options),
        "metadata": {SIGNATURE_DEF: MessageToDict(signatures, **options)},
    }
