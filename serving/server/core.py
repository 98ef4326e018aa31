"""What both interfaces ask for: predictions, the metadata and the status of the model."""

import asyncio
import dataclasses
import time
from collections.abc import Callable

from grpc import StatusCode
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from serving.server.batching import Batcher
from serving.server.errors import RequestError, invalid
from serving.server.metrics import Metrics
from serving.server.model import Arrays, Signature
from serving.server.versions import ModelSpec, Version, VersionManager

SIGNATURE_DEF = "signature_def"


@dataclasses.dataclass(frozen=True)
class Prediction:
    """An answer.

    Attributes:
        version: that gave it.
        outputs: by name.
    """

    version: int
    outputs: Arrays


class Core:
    """The model behind the interfaces."""

    def __init__(
        self, versions: VersionManager, batcher: Batcher, metrics: Metrics, timeout: float
    ):
        """Make the core; `timeout` is in seconds, of one prediction."""
        self._versions = versions
        self._batcher = batcher
        self._metrics = metrics
        self._timeout = timeout
        self.stopping = False

    @property
    def ready(self) -> bool:
        """Whether requests are answered, and those that come now will be."""
        return self._versions.current is not None and not self.stopping

    async def predict(
        self,
        spec: ModelSpec,
        entrypoint: str,
        read: Callable[[Version], tuple[Signature, Arrays]],
        timeout: float | None = None,
    ) -> Prediction:
        """Answer a request.

        Args:
            spec: which version is asked.
            entrypoint: REST or GRPC, for the metrics.
            read: finds the signature and reads its inputs.
            timeout: seconds that the client waits, if it said so.

        Raises:
            RequestError: there is no answer.
        """
        start, status = time.monotonic(), StatusCode.CANCELLED
        limit = self._timeout if timeout is None else min(timeout, self._timeout)
        try:
            async with self._versions.use(spec) as version:
                signature, inputs = read(version)
                rows = signature.check(inputs)
                call = self._batcher.call(version.model, signature.name, inputs, rows)
                outputs = await asyncio.wait_for(call, limit)
            status = StatusCode.OK
            return Prediction(version.number, outputs)
        except asyncio.TimeoutError:
            status = StatusCode.DEADLINE_EXCEEDED
            raise RequestError(status, f"Timed out after {limit:.3g} seconds") from None
        except RequestError as error:
            status = error.code
            raise
        finally:
            self._metrics.count_request(entrypoint, status.name, time.monotonic() - start)

    def metadata(self, spec: ModelSpec) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Return the signatures of a version.

        Raises:
            RequestError: there is no such model or version.
        """
        version = self._versions.find(spec)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in version.model.signature_defs.items():
            signatures.signature_def[name].CopyFrom(definition)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = version.number
        response.metadata[SIGNATURE_DEF].Pack(signatures)
        return response

    def status(self, spec: ModelSpec) -> get_model_status_pb2.GetModelStatusResponse:
        """Return the state of one version, or of all that were seen.

        Raises:
            RequestError: there is no such model or version.
        """
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in self._versions.status(spec):
            found = response.model_version_status.add(
                version=version.number, state=int(version.state)
            )
            if version.error:
                # FAILED_PRECONDITION tells a broken version from one that was unloaded.
                found.status.error_code = StatusCode.FAILED_PRECONDITION.value[0]
                found.status.error_message = version.error
            else:
                found.status.SetInParent()
        return response


def only_signature_def(fields: list[str]) -> None:
    """Find that the metadata asked for are those that there are.

    Raises:
        RequestError: they are not.
    """
    if not fields:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in fields:
        if field != SIGNATURE_DEF:
            raise invalid(f"Metadata field {field} is not supported")
