"""Runs `tfcap serve` in a process of its own."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
_LAST_WORD = "SIGTERM"


class ServerProcess(NamedTuple):
    """A server that answers.

    Attributes:
        process: its process; standard output is a pipe.
        greeting: what it said when it was ready.
        url: of REST, without a path.
    """

    process: subprocess.Popen
    greeting: str
    url: str


@contextlib.contextmanager
def serving(base: Path, name: str, *options: str) -> Iterator[ServerProcess]:
    """Serve a base directory on any ports until the end of the block."""
    command = [sys.executable, "-m", "tfcap.cli.main", "serve", "--model", str(base)]
    command += ["--name", name, "--rest-port=0", "--grpc-port=0", *options]
    with subprocess.Popen(command, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE) as process:
        try:
            greeting = ""
            while _LAST_WORD not in greeting:
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"{' '.join(command)}: exit code {process.wait()}")
                greeting += line
            url = re.search(r"http://[\w.]+:\d+", greeting)[0]
            yield ServerProcess(process, greeting, url)
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def metric(page: str, name: str) -> float:
    """Return the value of a metric without labels from a page for Prometheus."""
    return float(re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)[1])
