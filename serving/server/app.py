"""The whole server: its start, its ports and its stop."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from serving.server.batching import Batcher
from serving.server.config import ServerConfig
from serving.server.core import Core
from serving.server.errors import StartError
from serving.server.grpc_service import make_server
from serving.server.intake import Intake
from serving.server.metrics import Metrics
from serving.server.model import Model
from serving.server.page import page_routes
from serving.server.protocol import BoundedProtocol
from serving.server.rest import RestApi
from serving.server.routes import HEALTH_PATH, METRICS_PATH, make_routes
from serving.server.versions import VersionManager, check_base, load_and_warm_up

# A head of a request is some hundred bytes; this is uvicorn's own bound, said here.
_MAX_HEAD = 64 * 1024


def run(config: ServerConfig) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way.

    Raises:
        StartError: there is nothing to serve, or a port is taken.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # TensorFlow would say that sessions are old-fashioned.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    asyncio.run(_serve(config))


async def _serve(config: ServerConfig) -> None:
    check_base(config.base)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Both ports are taken before the model is loaded, and answer after it is.
    with contextlib.closing(bind(config.host, config.rest_port)) as rest_socket:
        server = Server(config)
        grpc_port = server.bind_grpc()
        await server.start(rest_socket)
        print(_greeting(config, rest_socket.getsockname()[1], grpc_port, server), flush=True)
        await stop.wait()
        print("stopping: requests under way are finished first", flush=True)
        await server.stop()


class Server:
    """All parts of the server, put together."""

    def __init__(self, config: ServerConfig, load: Callable[[Path], Model] = load_and_warm_up):
        """Put the parts together; must be called on the loop that will run them."""
        self._config = config
        self._metrics = Metrics(config.name)
        self.versions = VersionManager(config.base, config.name, load, config.labels)
        self._workers = ThreadPoolExecutor(config.batch_threads, "model")
        self._batcher = Batcher(
            self._workers,
            config.batch_threads,
            config.max_batch_size if config.batching else 1,
            config.batch_timeout if config.batching else 0.0,
            config.queue_size,
            self._metrics,
        )
        self._core = Core(self.versions, self._batcher, self._metrics, config.timeout)
        self._grpc = make_server(self._core, config.max_request_bytes)
        self._http = _make_http(config, self._core, self._metrics)
        self._tasks: list[asyncio.Task] = []

    def bind_grpc(self) -> int:
        """Take the gRPC port; returns its number.

        Raises:
            StartError: it is taken.
        """
        host, port = self._config.host, self._config.grpc_port
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            return self._grpc.add_insecure_port(address)
        except RuntimeError:
            raise StartError(
                f"port {port} on {host} cannot be taken: choose another with --grpc-port"
            ) from None

    async def start(self, rest_socket: socket.socket) -> None:
        """Load the model, then answer.

        Raises:
            StartError: no version can be loaded.
        """
        await self.versions.start()
        await self._grpc.start()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self.versions.watch(self._config.poll_seconds)),
            loop.create_task(self._http.serve([rest_socket])),
        ]
        while not self._http.started:
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Take no more requests, finish those under way, unload the model."""
        self._core.stopping = True
        watching, serving = self._tasks
        watching.cancel()
        self._http.should_exit = True
        await asyncio.gather(serving, self._grpc.stop(self._config.timeout))
        await self._batcher.drain()
        await self.versions.stop()
        self._workers.shutdown()


class _Http(uvicorn.Server):
    """Uvicorn's server without its own handling of signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _make_http(config: ServerConfig, core: Core, metrics: Metrics) -> uvicorn.Server:
    intake = Intake(config.max_request_bytes, config.timeout)
    routes = make_routes(core, metrics, RestApi(core, intake))
    routes += page_routes(config.name, config.max_request_bytes)
    return _Http(
        uvicorn.Config(
            Starlette(routes=routes),
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=config.max_connections,
            timeout_graceful_shutdown=config.timeout,
            h11_max_incomplete_event_size=_MAX_HEAD,
        )
    )


def bind(host: str, port: int) -> socket.socket:
    """Take the REST port, without listening yet.

    Raises:
        StartError: it is taken, or there is no such address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise StartError(f"--host {host}: {error.strerror}") from None
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise StartError(
            f"port {port} on {host} cannot be taken ({error.strerror}): choose another with "
            "--rest-port"
        ) from None
    return bound


def _greeting(config: ServerConfig, rest_port: int, grpc_port: int, server: Server) -> str:
    host = f"[{config.host}]" if ":" in config.host else config.host
    rest = f"http://{host}:{rest_port}"
    return f"""\
serving {config.name}, version {server.versions.current} of {config.base}
  page     {rest}/
  REST     {rest}/v1/models/{config.name}:predict
  gRPC     {host}:{grpc_port}
  health   {rest}{HEALTH_PATH}
  metrics  {rest}{METRICS_PATH}
This is a server for one machine. To scale, give the same directory to TF Serving:
  tensorflow_model_server --model_name={config.name} --model_base_path={config.base.resolve()} \\
    --rest_api_port={rest_port} --port={grpc_port} --enable_batching
Ctrl-C or SIGTERM stops it, after the requests that are under way."""
