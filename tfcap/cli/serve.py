"""`tfcap serve`: answer REST and gRPC requests with an export, as TF Serving does."""

import argparse
from collections.abc import Callable
from pathlib import Path

HELP = "serve an export over REST and gRPC"
DESCRIPTION = """\
Answer the requests that TF Serving answers, on one machine: REST and gRPC, rows and columns,
metadata, status, Prometheus metrics. Requests that come together are given to the model together.
The highest version in the base directory answers; when a higher one appears, it is loaded and takes
over without a request being dropped. To scale, give the same directory to TF Serving itself.

Examples:
  tfcap serve --model exports/large
  curl http://localhost:8501/v1/models/large
  echo '{"instances": [{"b64": "'$(base64 -w0 picture.jpg)'"}]}' |
    curl -d @- http://localhost:8501/v1/models/large:predict"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--model",
        type=Path,
        required=True,
        metavar="BASE",
        help="directory of versions, as `tfcap export` writes it",
    )
    add("--name", help="of the model in paths (default: the directory's)")
    add(
        "--label",
        nargs="+",
        default=[],
        metavar="NAME",
        help="what requests may call the version that answers: stable, say",
    )
    add("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    add("--rest-port", type=int, default=8501, help="0 for any (default: %(default)s)")
    add("--grpc-port", type=int, default=8500, help="0 for any (default: %(default)s)")
    _add_batch_arguments(parser.add_argument_group("batches").add_argument)
    _add_limits(parser.add_argument_group("limits").add_argument)


def _add_batch_arguments(add: Callable) -> None:
    add("--no-batching", action="store_true", help="give every request to the model alone")
    add("--max-batch-size", type=int, default=32, metavar="ROWS", help="(default: %(default)s)")
    add(
        "--batch-timeout-ms",
        type=float,
        default=2.0,
        metavar="MS",
        help="how long a request waits for others when the model is idle (default: %(default)s)",
    )
    add(
        "--batch-threads",
        type=int,
        default=1,
        metavar="N",
        help="calls of the model at the same time (default: %(default)s)",
    )


def _add_limits(add: Callable) -> None:
    add(
        "--queue-size",
        type=int,
        default=256,
        metavar="ROWS",
        help="rows that wait; more are refused: 429, RESOURCE_EXHAUSTED (default: %(default)s)",
    )
    add(
        "--max-request-bytes",
        type=int,
        default=32 * 2**20,
        metavar="N",
        help="larger requests are refused: 413 (default: %(default)s)",
    )
    add(
        "--max-connections",
        type=int,
        default=512,
        metavar="N",
        help="of REST at the same time; more are refused: 503 (default: %(default)s)",
    )
    add(
        "--timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="for an answer: 504, DEADLINE_EXCEEDED; and for a request to arrive "
        "(default: %(default)s)",
    )
    add(
        "--poll-seconds",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="between looks for a new version (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    from records.errors import UserError

    try:
        from serving.server.config import ServerConfig
        from serving.server.errors import StartError
    except ImportError as error:
        raise UserError(f"tfcap serve needs {error.name}: pip install 'tfcap[tf,serve]'") from None
    try:
        config = ServerConfig(
            base=arguments.model,
            name=arguments.name or arguments.model.resolve().name,
            labels=tuple(arguments.label),
            host=arguments.host,
            rest_port=arguments.rest_port,
            grpc_port=arguments.grpc_port,
            batching=not arguments.no_batching,
            max_batch_size=arguments.max_batch_size,
            batch_timeout=arguments.batch_timeout_ms / 1000,
            batch_threads=arguments.batch_threads,
            queue_size=arguments.queue_size,
            max_request_bytes=arguments.max_request_bytes,
            timeout=arguments.timeout,
            poll_seconds=arguments.poll_seconds,
            max_connections=arguments.max_connections,
        )
        from serving.server.app import run as serve

        serve(config)
    except StartError as error:
        raise UserError(str(error)) from None
    return 0
