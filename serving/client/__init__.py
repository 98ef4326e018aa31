"""Clients of a served captioner: sync and async, over REST or gRPC, without TensorFlow.

    from serving.client import CaptionClient

    with CaptionClient("http://localhost:8501") as client:
        for found in client.caption(["dog.jpg", "cat.jpg"]):
            print(found.error or found.caption)

They talk to TensorFlow Serving (`serving/tensorflow_serving`) and to whatever has its interface.
"""

from serving.client.client import AsyncCaptionClient, CaptionClient
from serving.client.errors import (
    CaptionServiceError,
    InvalidAnswer,
    Refused,
    ServerFailed,
    Unavailable,
    Unreachable,
)
from serving.client.results import (
    Beam,
    Caption,
    Embedding,
    Explanation,
    Score,
    VersionStatus,
    Word,
)

__all__ = [
    "AsyncCaptionClient",
    "Beam",
    "Caption",
    "CaptionClient",
    "CaptionServiceError",
    "Embedding",
    "Explanation",
    "InvalidAnswer",
    "Refused",
    "Score",
    "ServerFailed",
    "Unavailable",
    "Unreachable",
    "VersionStatus",
    "Word",
]
