"""Runs the server on a loop in a thread, so that a test can talk to it over real sockets."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from serving.server.app import Server, bind
from serving.server.config import ServerConfig
from serving.server.model import Model
from serving.server.versions import load_and_warm_up


class Running(NamedTuple):
    """A server that answers.

    Attributes:
        url: of REST, without a path.
        grpc: host and port.
        call: runs a coroutine of the server on its loop, and returns what it returns.
        server: the server itself.
    """

    url: str
    grpc: str
    call: Callable
    server: Server


@contextlib.contextmanager
def running(
    base: Path, name: str, load: Callable[[Path], Model] = load_and_warm_up, **options
) -> Iterator[Running]:
    """Serve a base directory on ports that are free; stop it gracefully at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def call(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    async def start() -> Running:
        config = ServerConfig(base=base, name=name, rest_port=0, grpc_port=0, **options)
        server = Server(config, load)
        bound = bind(config.host, 0)
        port = server.bind_grpc()
        await server.start(bound)
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        return Running(url, f"127.0.0.1:{port}", call, server)

    try:
        found = call(start())
        yield found
        call(found.server.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
