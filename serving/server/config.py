"""What can be chosen when the server is started."""

import dataclasses
import math
import re
from pathlib import Path

from serving.server.errors import StartError


@dataclasses.dataclass(frozen=True)
class ServerConfig:
    """All options of the server.

    Attributes:
        base: directory of numbered versions, each a SavedModel.
        name: of the model, in paths and requests.
        labels: what requests may call the version that answers.
        host: address to listen at.
        rest_port: of REST, 0 for any.
        grpc_port: of gRPC, 0 for any.
        batching: whether requests are merged.
        max_batch_size: rows of one call of the model at most.
        batch_timeout: seconds that a row waits for others at most.
        batch_threads: calls of the model at the same time.
        queue_size: rows that wait at most; more are refused.
        max_request_bytes: of one request's body.
        timeout: seconds from a request's last byte to its answer, and from its first to its last.
        poll_seconds: between two looks for a new version.
        max_connections: of REST, at the same time.

    Raises:
        StartError: a value makes no sense.
    """

    base: Path
    name: str
    labels: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    batching: bool = True
    max_batch_size: int = 32
    batch_timeout: float = 0.002
    batch_threads: int = 1
    queue_size: int = 256
    max_request_bytes: int = 32 * 2**20
    timeout: float = 30.0
    poll_seconds: float = 2.0
    max_connections: int = 512

    def __post_init__(self):
        if not re.fullmatch(r"[^/:\s]+", self.name):
            raise StartError(f"--name {self.name!r}: give a name without '/', ':' and blanks")
        for field in ("rest_port", "grpc_port"):
            if not 0 <= getattr(self, field) < 2**16:
                raise StartError(
                    f"{_flag(field)} {getattr(self, field)}: choose one below 65536, or 0 for any"
                )
        whole = ("max_batch_size", "batch_threads", "queue_size", "max_request_bytes")
        for field in (*whole, "max_connections"):
            if getattr(self, field) < 1:
                raise StartError(f"{_flag(field)} must be at least 1, got {getattr(self, field)}")
        for field in ("timeout", "poll_seconds"):
            value = getattr(self, field)
            if not (math.isfinite(value) and value > 0):
                raise StartError(f"{_flag(field)} must be more than 0 seconds, got {value}")
        if not (math.isfinite(self.batch_timeout) and self.batch_timeout >= 0):
            milliseconds = 1000 * self.batch_timeout
            raise StartError(f"--batch-timeout-ms must be at least 0, got {milliseconds}")
        if self.queue_size < self.max_batch_size:
            raise StartError(
                f"--queue-size {self.queue_size} holds less than one batch: give at least "
                f"{self.max_batch_size}, or a smaller --max-batch-size"
            )


def _flag(field: str) -> str:
    return "--" + field.replace("_", "-")
