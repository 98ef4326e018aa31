"""The command `tfcap serve`: its start, its mistakes and its stop."""

import re
import signal
import socket
from pathlib import Path

import httpx
import pytest
from server_process import serving
from tiny_saved_model import NAME

from serving.server.config import ServerConfig
from serving.server.errors import StartError
from tfcap.cli.main import main


def test_sigterm_finishes_what_is_under_way(tiny_model):
    """A request of which half has come is answered; then the process ends, and with 0."""
    with serving(tiny_model, NAME) as server:
        assert "To scale" in server.greeting and "tensorflow_model_server" in server.greeting
        body = b'{"instances": ["dog"]}'
        host, _, port = server.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            head = f"POST /v1/models/{NAME}:predict HTTP/1.1\r\nHost: x\r\nContent-Length: "
            connection.sendall(f"{head}{len(body)}\r\n\r\n".encode() + body[:5])
            assert httpx.get(f"{server.url}/healthz").status_code == 200
            server.process.send_signal(signal.SIGTERM)
            assert "stopping" in server.process.stdout.readline()
            connection.sendall(body[5:])
            assert b"tiny: dog" in b"".join(iter(lambda: connection.recv(65536), b""))
        assert server.process.wait(60) == 0


def fails_with(capsys, *arguments: str) -> str:
    """Run the command; returns the one line that it must fail with."""
    assert main(["serve", *map(str, arguments)]) == 2
    said = capsys.readouterr().err.splitlines()
    (line,) = [each for each in said if each.startswith("tfcap serve: error: ")]
    return line


def test_mistakes_are_one_line(capsys, tiny_model, tmp_path):
    assert "holds no export" in fails_with(capsys, "--model", tmp_path / "absent")
    assert "is one version" in fails_with(capsys, "--model", tiny_model / "1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = fails_with(capsys, "--model", tiny_model, "--rest-port", port)
        assert f"port {port} on 127.0.0.1" in said and "--rest-port" in said
        said = fails_with(capsys, "--model", tiny_model, "--rest-port=0", "--grpc-port", port)
        assert f"port {port} on 127.0.0.1" in said and "--grpc-port" in said
    said = fails_with(capsys, "--model", tiny_model, "--rest-port=0", "--host", "no.such.invalid")
    assert "--host no.such.invalid" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "a/b"}, "--name 'a/b'"),
        ({"rest_port": 70000}, "--rest-port 70000"),
        ({"max_batch_size": 0}, "--max-batch-size must be at least 1, got 0"),
        ({"timeout": float("nan")}, "--timeout must be more than 0 seconds, got nan"),
        ({"batch_timeout": -0.001}, "--batch-timeout-ms must be at least 0, got -1.0"),
        ({"queue_size": 8}, "--queue-size 8 holds less than one batch"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(StartError, match=re.escape(message)):
        ServerConfig(**{"base": Path("exports"), "name": "m", **options})
