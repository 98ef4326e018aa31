"""An export behind our server and behind others that come from pip: BentoML, MLServer, Ray Serve.

    python tests/bench/serving_peers.py --model BASE --images DIR --venv DIR [--json FILE]

Each serves the same portable export in one process with a model, with the batching that it brings,
batches of 32 at most; the clients are those of server_load.py, 32 at once, and share the cores.
What a server of others takes and gives stands in its script (bentoml_peer.py, mlserver_peer.py,
ray_peer.py); each gets a picture as base64 in JSON, as ours does. All alternate within each round,
after one uncounted round; a server that is not measured is idle.

Each peer has an environment of its own in --venv, which is made where it is not there yet, with the
versions below; what cannot be installed is left out and named.
"""

import argparse
import asyncio
import base64
import contextlib
import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from server_load import NAME, post, request_of, run_clients

from tfcap.bench.measure import add_arguments, alternate, jpegs, ratios, readable, report
from tfcap.export import find_export

sys.path.append(str(Path(__file__).resolve().parents[1]))
from server_process import serving

HERE = Path(__file__).parent
TENSORFLOW = "tensorflow-cpu==2.21.0"
PEERS = {
    "BentoML": ["bentoml==1.4.39"],
    "MLServer": ["mlserver==1.7.1"],
    # Later ones want another protobuf than TensorFlow.
    "Ray Serve": ["ray[serve]==2.60.0", "grpcio-reflection<1.79"],
}
OURS = "ours"
CLIENTS = 32
START_SECONDS = 120.0


class Peer(NamedTuple):
    """A server that is measured.

    Attributes:
        url: without a path.
        requests: whole ones, to caption a picture each.
    """

    url: str
    requests: list[bytes]


def install(name: str, directory: Path) -> Path | None:
    """Make the environment of a peer, unless it is there; returns its interpreter, if it has one.

    What does not install leaves an environment without the interpreter.
    """
    # Each has one of its own: they do not agree on the libraries that they share.
    environment = directory.absolute() / name.lower().replace(" ", "-")
    python = environment / "bin/python"
    if not environment.exists():
        print(f"installing {' '.join(PEERS[name])} into {environment}")
        venv.create(environment, with_pip=True)
        command = [python, "-m", "pip", "install", "--quiet", TENSORFLOW, *PEERS[name]]
        if subprocess.run(command, check=False).returncode:
            python.unlink()
    return python if python.exists() else None


def make_command(name: str, python: Path, port: int, scratch: Path) -> list[str]:
    """Return the command that starts a peer; writes what it needs beside it."""
    if name == "Ray Serve":
        return [str(python), str(HERE / "ray_peer.py"), str(port)]
    if name == "BentoML":
        flags = ["serve", "bentoml_peer:Captioner", "--port", str(port), "--working-dir", str(HERE)]
        return [str(python), "-m", "bentoml", *flags]
    settings = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    settings |= {"parallel_workers": 0, "host": "127.0.0.1"}
    model = {"name": NAME, "implementation": "mlserver_peer.Captioner"}
    model |= {"max_batch_size": 32, "max_batch_time": 0.005}
    (scratch / "settings.json").write_text(json.dumps(settings))
    (scratch / "model-settings.json").write_text(json.dumps(model))
    return [str(python.with_name("mlserver")), "start", str(scratch)]


def make_request(name: str, picture: bytes) -> bytes:
    """Return a whole request to a peer."""
    text = base64.b64encode(picture).decode()
    if name != "MLServer":
        return post("/caption", {"pictures": [text]})
    kind = {"content_type": "base64"}
    tensor = {"name": "pictures", "shape": [1, 1], "datatype": "BYTES", "data": [text]}
    return post(f"/v2/models/{NAME}/infer", {"inputs": [{**tensor, "parameters": kind}]})


@contextlib.contextmanager
def running(name: str, python: Path, model: Path, pictures: list[bytes]) -> Iterator[Peer]:
    """Run a peer until the end of the block."""
    port = free_port()
    peer = Peer(f"http://127.0.0.1:{port}", [make_request(name, each) for each in pictures])
    environment = {**os.environ, "MODEL": str(model.resolve()), "PYTHONPATH": str(HERE)}
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            make_command(name, python, port, Path(scratch)),
            env=environment,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            end = time.monotonic() + START_SECONDS
            while not answers(peer):
                if process.poll() is not None or time.monotonic() > end:
                    said.seek(0)
                    sys.exit(f"{name} does not answer:\n{said.read()[-3000:].decode()}")
                time.sleep(0.5)
            yield peer
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def answers(peer: Peer) -> bool:
    """Tell whether a peer captions a picture."""
    try:
        return bool(measure(peer, 1, 0.01))
    except (OSError, EOFError, SystemExit):
        return False


def measure(peer: Peer, clients: int, seconds: float) -> list[float]:
    """Let clients send requests for some seconds; returns the seconds of each answer."""
    end = time.perf_counter() + seconds
    return asyncio.run(run_clients(peer.url, peer.requests, clients, end, _has_words))


def _has_words(body: bytes) -> bool:
    return bool(re.search(rb"[a-z]+ [a-z]+", body)) and b"cannot be decoded" not in body


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def timed_load(peer: Peer, seconds: float) -> tuple[float, list[float]]:
    """Return (requests a second, the seconds of each)."""
    start = time.perf_counter()
    latencies = measure(peer, CLIENTS, seconds)
    return len(latencies) / (time.perf_counter() - start), latencies


def describe(found: dict[str, list[tuple[float, list[float]]]]) -> dict[str, list[float]]:
    """Return the metrics of all measurements, by name."""
    rates = {name: [rate for rate, _ in runs] for name, runs in found.items()}
    table = {f"{name}: requests a second": values for name, values in rates.items()}
    for name, runs in found.items():
        for percent in (50, 99):
            table[f"{name}: p{percent} ms"] = [
                1000 * float(np.percentile(latencies, percent)) for _, latencies in runs
            ]
    for name in rates.keys() - {OURS}:
        table[f"{OURS} over {name}"] = ratios(rates[OURS], rates[name])
    return dict(sorted(table.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=readable(find_export), required=True, metavar="BASE")
    parser.add_argument("--images", type=readable(jpegs), required=True, metavar="DIR")
    parser.add_argument("--venv", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a measurement")
    add_arguments(parser, rounds=5)
    arguments = parser.parse_args()
    pictures = [path.read_bytes() for path in jpegs(arguments.images)]
    pythons = {name: install(name, arguments.venv) for name in PEERS}
    if missing := [name for name, python in pythons.items() if python is None]:
        print(f"cannot be installed, and left out: {', '.join(missing)}")
    there = {name: python for name, python in pythons.items() if python}
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(serving(arguments.model, NAME)).url
        peers = {OURS: Peer(url, [request_of(picture) for picture in pictures])}
        model = find_export(arguments.model)
        for name, python in there.items():
            peers[name] = stack.enter_context(running(name, python, model, pictures))
        calls: dict[str, Callable] = {
            name: functools.partial(timed_load, peer, arguments.seconds)
            for name, peer in peers.items()
        }
        found = alternate(calls, arguments.rounds, uncounted=1)
    setting = {
        "clients": CLIENTS,
        "pictures": len(pictures),
        "cores": len(os.sched_getaffinity(0)),
        "seconds": arguments.seconds,
        "versions": {name: PEERS[name] for name in there},
    }
    report(describe(found), setting, arguments.json)


if __name__ == "__main__":
    main()
