"""The clients."""

import asyncio
import time
from collections.abc import Iterable
from typing import ClassVar

from serving.client import calls
from serving.client.calls import BatchSpec, Call, Picture, Result
from serving.client.errors import Unavailable
from serving.client.results import Beam, Caption, Embedding, Explanation, Score, VersionStatus
from serving.client.retries import RetrySpec
from serving.client.target import Target

BATCHES = BatchSpec()
RETRIES = RetrySpec()


class _Client:
    """What both clients are made of; `_transport_class` names theirs in `rest` and `rpc`."""

    _transport_class: ClassVar[str]

    def __init__(
        self,
        url: str,
        model: str = "tfcap",
        *,
        timeout: float = 30.0,
        version: int | None = None,
        label: str | None = None,
        batches: BatchSpec = BATCHES,
        retries: RetrySpec = RETRIES,
    ):
        target = Target(url, model, version, label)
        self._batches, self._retries = batches, retries
        self._transport = getattr(_library(target), self._transport_class)(target, timeout)


class CaptionClient(_Client):
    """Captions pictures with a served model.

    Pictures are bytes of an encoded file or paths. Results come in the order of the pictures, one
    each, of `serving.client.results`; a bad picture has an `error` there and harms no other.
    Requests are sent one after the other, each with a batch of pictures. A client may be used by
    several threads, and as a context manager.

    Every method raises, beside what `serving.client.errors` says, OSError where a file cannot be
    read, and TypeError or ValueError where arguments do not fit together.

    Args:
        url: `http://HOST:PORT` or `https://` for REST, `grpc://HOST:PORT` or `grpcs://` for gRPC.
        model: its name on the server.
        timeout: seconds to wait for the answer to one attempt.
        version: number of the version to ask; by default the highest that is loaded.
        label: label of the version to ask, in place of its number.
        batches: how much goes into one request.
        retries: how often a request is sent again that the server has no room for.

    Raises:
        ValueError: the URL is of another form, or version and label are both given.
    """

    _transport_class = "Transport"

    def caption(self, pictures: Iterable[Picture]) -> tuple[Caption, ...]:
        """Return a caption of each picture."""
        return self._run(calls.CAPTION, pictures)

    def complete(
        self, pictures: Iterable[Picture], prompts: str | Iterable[str]
    ) -> tuple[Caption, ...]:
        """Return captions that go on from prompts: one a picture, or one for all."""
        return self._run(calls.COMPLETE, pictures, prompts)

    def score(
        self, pictures: Iterable[Picture], captions: str | Iterable[str]
    ) -> tuple[Score, ...]:
        """Return how likely captions are: one a picture, or one for all."""
        return self._run(calls.SCORE, pictures, captions)

    def beam(self, pictures: Iterable[Picture]) -> tuple[Beam, ...]:
        """Return the best captions of each picture."""
        return self._run(calls.BEAM, pictures)

    def embed(self, pictures: Iterable[Picture]) -> tuple[Embedding, ...]:
        """Return a vector for each picture."""
        return self._run(calls.EMBED, pictures)

    def explain(self, pictures: Iterable[Picture]) -> tuple[Explanation, ...]:
        """Return a caption of each picture, and where the decoder looked at each word."""
        return self._run(calls.EXPLAIN, pictures)

    def status(self) -> tuple[VersionStatus, ...]:
        """Return the versions of the model that the server knows."""
        return self._asking(self._transport.status)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def __enter__(self) -> "CaptionClient":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def _run(self, call: Call[Result], pictures, texts=None) -> tuple[Result, ...]:
        found = []
        for columns in calls.requests(call, pictures, texts, self._batches):
            outputs = self._asking(self._transport.predict, call.signature, columns)
            found += calls.results(call, outputs, len(columns["image_bytes"]))
        return tuple(found)

    def _asking(self, method, *arguments):
        for pause in self._retries.pauses():
            try:
                return method(*arguments)
            except Unavailable as error:
                time.sleep(self._retries.at_least(error.retry_after, pause))
        return method(*arguments)


class AsyncCaptionClient(_Client):
    """`CaptionClient` for asyncio: the same arguments, methods, results and errors, awaited.

    Requests of one call are sent one after the other; calls may run side by side. A client is made
    within the event loop that uses it.
    """

    _transport_class = "AsyncTransport"

    async def caption(self, pictures: Iterable[Picture]) -> tuple[Caption, ...]:
        return await self._run(calls.CAPTION, pictures)

    async def complete(
        self, pictures: Iterable[Picture], prompts: str | Iterable[str]
    ) -> tuple[Caption, ...]:
        return await self._run(calls.COMPLETE, pictures, prompts)

    async def score(
        self, pictures: Iterable[Picture], captions: str | Iterable[str]
    ) -> tuple[Score, ...]:
        return await self._run(calls.SCORE, pictures, captions)

    async def beam(self, pictures: Iterable[Picture]) -> tuple[Beam, ...]:
        return await self._run(calls.BEAM, pictures)

    async def embed(self, pictures: Iterable[Picture]) -> tuple[Embedding, ...]:
        return await self._run(calls.EMBED, pictures)

    async def explain(self, pictures: Iterable[Picture]) -> tuple[Explanation, ...]:
        return await self._run(calls.EXPLAIN, pictures)

    async def status(self) -> tuple[VersionStatus, ...]:
        return await self._asking(self._transport.status)

    async def close(self) -> None:
        await self._transport.close()

    async def __aenter__(self) -> "AsyncCaptionClient":
        return self

    async def __aexit__(self, *error) -> None:
        await self.close()

    async def _run(self, call: Call[Result], pictures, texts=None) -> tuple[Result, ...]:
        found = []
        for columns in calls.requests(call, pictures, texts, self._batches):
            outputs = await self._asking(self._transport.predict, call.signature, columns)
            found += calls.results(call, outputs, len(columns["image_bytes"]))
        return tuple(found)

    async def _asking(self, method, *arguments):
        for pause in self._retries.pauses():
            try:
                return await method(*arguments)
            except Unavailable as error:
                await asyncio.sleep(self._retries.at_least(error.retry_after, pause))
        return await method(*arguments)


def _library(target: Target):
    """Return the module for the URL's kind, so that only its own library is imported."""
    if target.is_grpc:
        from serving.client import rpc

        return rpc
    from serving.client import rest

    return rest
