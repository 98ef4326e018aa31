"""Reads the bodies of requests, within limits of size, time and memory."""

import asyncio
import contextlib

from starlette.types import Message, Receive, Scope, Send

# Of all bodies that are being read or parsed: many slow clients must not fill the memory.
_MEMORY_IN_REQUESTS = 8
LINGER_SECONDS = 2.0
_LINGER_BYTES = 64 * 2**20


class Refused(Exception):
    """A body that is not taken.

    Attributes:
        status: of HTTP.
        message: one line.
    """

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message


class Intake:
    """Takes bodies, and holds their bytes against one limit for all."""

    def __init__(self, max_bytes: int, timeout: float):
        """Make an intake.

        Args:
            max_bytes: of one body.
            timeout: seconds from the first to the last byte of a body.
        """
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._left = _MEMORY_IN_REQUESTS * max_bytes

    async def read(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body of a request. `done` is to be called with its length after its use.

        Raises:
            Refused: it is too large, too slow, incomplete, or there are too many.
        """
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > self._max_bytes:
            raise self._too_large()
        held = bytearray()
        try:
            await asyncio.wait_for(self._collect(receive, held), self._timeout)
        except BaseException as error:
            self._left += len(held)
            if isinstance(error, asyncio.TimeoutError):
                raise Refused(
                    408, f"The body did not arrive within {self._timeout:g} seconds"
                ) from None
            raise
        return held

    def done(self, length: int) -> None:
        """Say that a body of so many bytes is not held any more."""
        self._left += length

    async def _collect(self, receive: Receive, held: bytearray) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "The client went away")
            part = message.get("body", b"")
            if len(held) + len(part) > self._max_bytes:
                raise self._too_large()
            if len(part) > self._left:
                raise Refused(429, "Too many requests are being read; try again later")
            self._left -= len(part)
            held += part
            if not message.get("more_body"):
                return

    def _too_large(self) -> Refused:
        return Refused(413, f"The body is larger than {self._max_bytes} bytes")


async def respond(
    send: Send, status: int, body: bytes, content_type: bytes = b"application/json", **headers: str
) -> None:
    """Send a whole answer."""
    await send(_start(status, body, content_type, headers))
    await send({"type": "http.response.body", "body": body})


async def refuse(receive: Receive, send: Send, status: int, body: bytes) -> None:
    """Answer a request whose body is not read to its end, and close the connection.

    What the client still sends is read and forgotten for a moment: closed at once, the connection
    would be reset, and many a client then loses the answer.
    """
    await send(_start(status, body, b"application/json", {"connection": "close"}))
    await send({"type": "http.response.body", "body": body, "more_body": True})
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_forget(receive), LINGER_SECONDS)
    await send({"type": "http.response.body"})


async def _forget(receive: Receive) -> None:
    forgotten = 0
    while forgotten < _LINGER_BYTES:
        message = await receive()
        forgotten += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


def _start(status: int, body: bytes, content_type: bytes, headers: dict[str, str]) -> Message:
    fields = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    fields += [
        (name.replace("_", "-").encode("ascii"), value.encode("ascii"))
        for name, value in headers.items()
    ]
    return {"type": "http.response.start", "status": status, "headers": fields}
