"""The server under load, over the same SavedModel called in a bare loop.

    python tests/bench/server_load.py --model BASE --images DIR [--json FILE]

BASE is what `tfcap export` writes. The bare loop gives batches of picture bytes to the signature in
this process, at the sizes of BARE_BATCHES; the fastest counts. The servers, one with batching and
one without, run in processes of their own and are idle while they are not measured. The clients,
which send one picture a request over REST and wait for its caption, are tasks of this process: they
share the cores with the server, and what they take of them is said. All alternate within each
round, after one uncounted round.
"""

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# Before TensorFlow is imported: its C++ log would drown the table.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from tfcap.bench.measure import add_arguments, alternate, jpegs, ratios, readable, report
from tfcap.export import find_export, load_export

sys.path.append(str(Path(__file__).resolve().parents[1]))
from server_process import metric, serving

NAME = "bench"
CLIENTS = (2, 8, 32)
BARE_BATCHES = (8, 16, 32)


class Load(NamedTuple):
    """What one measurement found.

    Attributes:
        rate: pictures a second.
        latencies: seconds of each request; empty of the bare loop.
        model: cores that the process with the model took.
        clients: cores that the clients took.
    """

    rate: float
    latencies: list[float]
    model: float
    clients: float = 0.0


def bare_loop(call: Callable, pictures: list[bytes], batch: int, seconds: float) -> Load:
    """Give batches to a signature for some seconds."""
    rows = itertools.cycle(pictures)
    done, start, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        found = call(image_bytes=tf.constant(list(itertools.islice(rows, batch))))
        tf.nest.map_structure(lambda tensor: tensor.numpy(), found)
        done += batch
    took = time.perf_counter() - start
    return Load(done / took, [], (time.process_time() - cpu) / took)


def load(url: str, requests: list[bytes], clients: int, seconds: float) -> Load:
    """Let clients send requests to a server for some seconds."""
    server, client = cpu_of(url), time.process_time()
    start = time.perf_counter()
    latencies = asyncio.run(run_clients(url, requests, clients, start + seconds, _is_good))
    took = time.perf_counter() - start
    return Load(
        len(latencies) / took,
        latencies,
        (cpu_of(url) - server) / took,
        (time.process_time() - client) / took,
    )


async def run_clients(
    url: str, requests: list[bytes], clients: int, end: float, is_good: Callable[[bytes], bool]
) -> list[float]:
    """Let clients send whole requests, each the next when it has its answer.

    Args:
        url: of the server, without a path.
        requests: that all take turns at.
        clients: connections that stay open.
        end: no more are sent from then on, of `time.perf_counter`.
        is_good: tells whether the body of an answer is as it should be.

    Returns:
        The seconds that each answer took.
    """
    host, _, port = url.removeprefix("http://").partition(":")
    turn = itertools.cycle(requests)
    latencies = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while (sent := time.perf_counter()) < end:
            writer.write(next(turn))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            body = await reader.readexactly(length)
            if b" 200 " not in head[:16] or not is_good(body):
                sys.exit(f"the server answers {(head + body).decode()}")
            latencies.append(time.perf_counter() - sent)
        writer.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return latencies


def _is_good(body: bytes) -> bool:
    return not json.loads(body)["predictions"][0]["error"]


def cpu_of(url: str) -> float:
    """Return the seconds of CPU that a server has taken."""
    with urllib.request.urlopen(f"{url}/monitoring/prometheus/metrics") as page:
        return metric(page.read().decode(), "process_cpu_seconds_total")


def request_of(picture: bytes) -> bytes:
    """Return the bytes of a whole request to our server."""
    row = {"b64": base64.b64encode(picture).decode()}
    return post(f"/v1/models/{NAME}:predict", {"instances": [row]})


def post(path: str, content: dict) -> bytes:
    """Return the bytes of a whole request of JSON."""
    body = json.dumps(content).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def describe(found: dict[str, list[Load]]) -> dict[str, list[float]]:
    """Return the metrics of all measurements, by name."""
    metrics = {name: [each.rate for each in loads] for name, loads in found.items()}
    bare = [name for name in found if name.startswith("bare")]
    best = [max(rates) for rates in zip(*(metrics[name] for name in bare), strict=True)]
    table = {f"{name}: pictures a second": metrics[name] for name in bare}
    for name, loads in found.items():
        # Of a busy machine this says more than the rates do.
        table[f"{name}: CPU ms a picture, with the model"] = [
            1000 * each.model / each.rate for each in loads
        ]
    for name in found.keys() - set(bare):
        table[f"{name}: requests a second"] = metrics[name]
        table[f"{name}: over the best bare loop"] = ratios(metrics[name], best)
        for percent in (50, 95, 99):
            table[f"{name}: p{percent} ms"] = [
                1000 * float(np.percentile(each.latencies, percent)) for each in found[name]
            ]
        table[f"{name}: cores taken by the clients"] = [each.clients for each in found[name]]
        table[f"{name}: cores taken by the server"] = [each.model for each in found[name]]
    for clients in CLIENTS:
        on, off = (metrics[f"batching {how}, {clients} clients"] for how in ("on", "off"))
        table[f"{clients} clients: batching on over off"] = ratios(on, off)
    return dict(sorted(table.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=readable(find_export), required=True, metavar="BASE")
    parser.add_argument("--images", type=readable(jpegs), required=True, metavar="DIR")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a measurement")
    add_arguments(parser, rounds=5)
    arguments = parser.parse_args()
    paths = jpegs(arguments.images)
    pictures = [path.read_bytes() for path in paths]
    requests = [request_of(picture) for picture in pictures]
    call = load_export(find_export(arguments.model)).signatures["serving_default"]
    with contextlib.ExitStack() as stack:
        on = stack.enter_context(serving(arguments.model, NAME)).url
        off = stack.enter_context(serving(arguments.model, NAME, "--no-batching")).url
        peers = {
            f"bare loop, batch {batch}": lambda batch=batch: bare_loop(
                call, pictures, batch, arguments.seconds
            )
            for batch in BARE_BATCHES
        }
        for (how, url), clients in itertools.product((("on", on), ("off", off)), CLIENTS):
            peers[f"batching {how}, {clients} clients"] = lambda url=url, clients=clients: load(
                url, requests, clients, arguments.seconds
            )
        found = alternate(peers, arguments.rounds, uncounted=1)
    setting = {
        "pictures": len(paths),
        "mean kilobytes": sum(map(len, pictures)) / len(pictures) / 1000,
        "cores": len(os.sched_getaffinity(0)),
        "seconds": arguments.seconds,
    }
    report(describe(found), setting, arguments.json)


if __name__ == "__main__":
    main()
