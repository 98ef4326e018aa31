"""HTTP connections that cannot be held open by sending a request's head slowly."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0


class BoundedProtocol(H11Protocol):
    """Closes a connection whose next request's head is not there in time.

    Uvicorn bounds the time between two requests, but neither the time before the first nor that
    from a head's first byte to its last.
    """

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._bound_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._bound_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_timer()

    def _bound_head(self) -> None:
        """Start the timer where a head is awaited; stop it where a request is under way."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()
        elif self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
