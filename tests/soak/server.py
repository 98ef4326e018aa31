"""The server under load and abuse; exit code 1 unless every good request got its right answer.

    python tests/soak/server.py --model BASE --images DIR --scratch DIR [--minutes 10] [--json FILE]

Some processes of clients send one picture a request. Of 100 requests 2 hold a corrupt picture, 1 is
larger than the server takes, 1 is sent in small parts and 1 is dropped half-way. A third through,
one process is killed with signal 9; half-way a second version of the same model appears. A right
answer is the caption that the server gave when nothing else was going on, or one as likely: the
last digits depend on what is in a batch. Memory counts as flat where the median of the last
quarter is not above that of the second by more than MAX_GROWTH.
"""

import argparse
import asyncio
import base64
import collections
import contextlib
import json
import multiprocessing
import random
import shutil
import signal
import statistics
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
from tqdm import tqdm

from tfcap.bench.measure import jpegs, readable

sys.path.append(str(Path(__file__).resolve().parents[1]))
from server_process import metric, serving

NAME = "soak"
PREDICT = f"/v1/models/{NAME}:predict"
SHARES = {"corrupt": 0.02, "oversized": 0.01, "slow": 0.01, "dropped": 0.01}
MAX_BYTES = 2**20
MAX_GROWTH = 1.15
SWITCHED = {"2": "AVAILABLE", "1": "END"}
_SWITCH_SECONDS = 120
CLOSE = 0.02  # of two log-probabilities of one picture


class Client:
    """One connection's worth of requests.

    Attributes:
        counts: of what was sent and what came of it, by name.
        failures: what was wrong, in words.
    """

    def __init__(self, url: str, pictures: dict[str, bytes], expected: dict[str, dict], seed: int):
        self.url = url
        self.pictures = pictures
        self.expected = expected
        self.random = random.Random(seed)
        self.counts = collections.Counter()
        self.failures = []

    async def run(self, end: float) -> None:
        """Send requests, each at once after the last, until a moment of `time.monotonic`."""
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as rest:
            while time.monotonic() < end:
                kinds, weights = zip(*SHARES.items(), strict=True)
                (kind,) = self.random.choices(
                    [*kinds, "good"], weights=[*weights, 1 - sum(weights)]
                )
                self.counts[kind] += 1
                try:
                    await getattr(self, kind)(rest)
                except (httpx.HTTPError, OSError) as error:
                    self.fail(f"{kind}: lost: {error!r}")

    def fail(self, what: str) -> None:
        self.counts["failed"] += 1
        self.failures.append(what)

    async def good(self, rest: httpx.AsyncClient) -> None:
        name = self.random.choice(sorted(self.pictures))
        self.check(name, await self.send(rest, body_of(self.pictures[name])))

    async def corrupt(self, rest: httpx.AsyncClient) -> None:
        picture = self.random.choice(sorted(self.pictures.values()))
        cut = self.random.randrange(len(picture) // 2)
        response = await self.send(rest, body_of(picture[:cut]))
        if response.status_code != 200 or not response.json()["predictions"][0]["error"]:
            self.fail(f"corrupt: {response.status_code} {response.text[:200]}")

    async def oversized(self, rest: httpx.AsyncClient) -> None:
        response = await self.send(rest, b" " * (MAX_BYTES + 1))
        if response.status_code != 413:
            self.fail(f"oversized: {response.status_code} {response.text[:200]}")

    async def slow(self, rest: httpx.AsyncClient) -> None:
        name = self.random.choice(sorted(self.pictures))
        body = body_of(self.pictures[name])

        async def drip():
            for start in range(0, len(body), 1 + len(body) // 20):
                yield body[start : start + 1 + len(body) // 20]
                await asyncio.sleep(0.1)

        headers = {"content-length": str(len(body))}
        self.check(name, await rest.post(PREDICT, content=drip(), headers=headers))

    async def dropped(self, rest: httpx.AsyncClient) -> None:
        host, _, port = self.url.removeprefix("http://").partition(":")
        body = body_of(self.random.choice(sorted(self.pictures.values())))
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body[: self.random.choice((10, len(body)))])
        await asyncio.sleep(0.01)
        writer.transport.abort()

    async def send(self, rest: httpx.AsyncClient, body: bytes) -> httpx.Response:
        """Send a request, again where the server says that it is too busy for it."""
        while True:
            response = await rest.post(PREDICT, content=body)
            if response.status_code != 429:
                return response
            self.counts["sent again"] += 1
            await asyncio.sleep(0.2)

    def check(self, name: str, response: httpx.Response) -> None:
        if response.status_code != 200:
            self.fail(f"{name}: {response.status_code} {response.text[:200]}")
            return
        (found,) = response.json()["predictions"]
        expected = self.expected[name]
        same = found["caption"] == expected["caption"]
        if found["error"] or not (same or abs(found["log_prob"] - expected["log_prob"]) < CLOSE):
            self.fail(f"{name}: {found} instead of {expected}")


def body_of(picture: bytes) -> bytes:
    return json.dumps({"instances": [{"b64": base64.b64encode(picture).decode()}]}).encode()


def run_clients(answer: Connection, clients: list[Client], seconds: float) -> None:
    """Run clients in a process of their own, and send back what they counted."""
    end = time.monotonic() + seconds

    async def all_of_them() -> None:
        await asyncio.gather(*(client.run(end) for client in clients))

    asyncio.run(all_of_them())
    counts = sum((client.counts for client in clients), collections.Counter())
    answer.send((counts, [what for client in clients for what in client.failures]))


class Watch:
    """What the server says of itself, every second."""

    def __init__(self, url: str):
        self.rest = httpx.Client(base_url=url, timeout=60)
        self.memory: list[float] = []

    def until(self, moment: float, bar: tqdm) -> None:
        """Look until a moment of `time.monotonic`."""
        while time.monotonic() < moment:
            page = self.rest.get("/monitoring/prometheus/metrics").text
            self.memory.append(metric(page, "process_resident_memory_bytes"))
            bar.update()
            time.sleep(1)

    def growth(self) -> float:
        """Return the memory of the last quarter over that of the second."""
        quarter = max(len(self.memory) // 4, 1)
        before = statistics.median(self.memory[quarter : 2 * quarter] or self.memory)
        return statistics.median(self.memory[-quarter:]) / before

    def states(self) -> dict[str, str]:
        """Return the state of each version."""
        found = self.rest.get(f"/v1/models/{NAME}").json()["model_version_status"]
        return {version["version"]: version["state"] for version in found}

    def settled(self) -> dict[str, str]:
        """Return the states once the switch is over: a short soak ends while version 2 loads."""
        deadline = time.monotonic() + _SWITCH_SECONDS
        while (found := self.states()) != SWITCHED and time.monotonic() < deadline:
            time.sleep(1)
        return found


def soak(arguments: argparse.Namespace, base: Path, url: str) -> dict:
    """Hold the load; returns what came of it."""
    paths = jpegs(arguments.images)[: arguments.pictures]
    pictures = {path.name: path.read_bytes() for path in paths}
    watch = Watch(url)
    expected = {
        name: watch.rest.post(PREDICT, content=body_of(picture)).json()["predictions"][0]
        for name, picture in pictures.items()
    }
    seconds = 60 * arguments.minutes
    context = multiprocessing.get_context("spawn")
    processes = []
    for number in range(arguments.processes):
        seeds = range(number * arguments.clients, (number + 1) * arguments.clients)
        clients = [Client(url, pictures, expected, seed) for seed in seeds]
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=run_clients, args=(there, clients, seconds))
        process.start()
        there.close()
        processes.append((process, here))
    start = time.monotonic()
    with tqdm(total=seconds, desc="load", unit=" s") as bar:
        watch.until(start + seconds / 3, bar)
        processes[0][0].kill()
        watch.until(start + seconds / 2, bar)
        shutil.copytree(base / "1", base / "partial")
        (base / "partial").rename(base / "2")
        watch.until(start + seconds, bar)
    counts, failures = collections.Counter(), []
    for process, here in processes:
        with contextlib.suppress(EOFError):  # the one that was killed
            counted, failed = here.recv()
            counts += counted
            failures += failed
        process.join()
    killed = sum(process.exitcode == -signal.SIGKILL for process, _ in processes)
    return {
        "seconds": seconds,
        "counts": dict(counts),
        "failures": failures[:20],
        "killed clients": killed,
        "versions": watch.settled(),
        "memory growth": watch.growth(),
        "memory, bytes": watch.memory,
    }


def main() -> int:
    # Not above: each process of clients imports this module, and needs no TensorFlow.
    from tfcap.export import find_export

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "--model",
        type=readable(find_export),
        required=True,
        metavar="BASE",
        help="of `tfcap export`",
    )
    add("--images", type=readable(jpegs), required=True, metavar="DIR")
    add("--scratch", type=Path, required=True, help="emptied first")
    add("--minutes", type=float, default=10.0)
    add("--pictures", type=int, default=50)
    add("--processes", type=int, default=4, help="of clients")
    add("--clients", type=int, default=4, help="in each process")
    add("--json", type=Path)
    arguments = parser.parse_args()
    shutil.rmtree(arguments.scratch, ignore_errors=True)
    base = arguments.scratch / "base"
    shutil.copytree(find_export(arguments.model), base / "1")
    with serving(base, NAME, f"--max-request-bytes={MAX_BYTES}") as server:
        found = soak(arguments, base, server.url)
    print(json.dumps({**found, "memory, bytes": None}, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    sound = (
        not found["counts"].get("failed")
        and found["killed clients"] == 1
        and found["versions"] == SWITCHED
        and found["memory growth"] <= MAX_GROWTH
    )
    return int(not sound)


if __name__ == "__main__":
    sys.exit(main())
