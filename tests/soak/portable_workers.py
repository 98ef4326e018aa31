"""The same records on every runner, workers of another environment included: proof by running.

Dataflow's workers are processes that have the package's source distribution, no TensorFlow, and
nothing of the launcher's directory. Here such workers live in a fresh environment on this machine,
behind Beam's own portable job service. The command builds one dataset on each of five runners and
fails unless all their files are the same bytes:

    python tests/soak/portable_workers.py --images flickr8k/Images \\
        --captions flickr8k/captions.txt --splits flickr8k --output /tmp/portable

Further options go to build_records as they are.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

from records.manifest import load_manifest

REPOSITORY = Path(__file__).resolve().parents[2]
JOB_SERVICE = "apache_beam.runners.portability.local_job_service_main"
WORKER_POOL = "apache_beam.runners.worker.worker_pool_main"
INSTALL_SECONDS = 900
START_SECONDS = 60
STOP_SECONDS = 10
# In the log of the worker pool, once for each worker process.
WORKER_STARTED = "Starting worker with command"


@dataclasses.dataclass(frozen=True)
class Build:
    """A finished build.

    Attributes:
        seconds: that it took.
        fingerprint: of the dataset.
        files: the SHA-256 of each, by its path inside the dataset.
    """

    seconds: float
    fingerprint: str
    files: Mapping[str, str]


def main() -> int:
    """Run the command; returns its exit code."""
    arguments = parse_arguments()
    # As Ctrl-C does: on the way out, what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    scratch = arguments.output.absolute()
    scratch.mkdir(parents=True)
    try:
        python = make_worker_environment(scratch)
        with portable_services(scratch, python) as (job_service, worker_pool):
            builds = {
                name: build_records(arguments, scratch / name, options)
                for name, options in runners(job_service, worker_pool).items()
            }
        workers = (scratch / "worker_pool.log").read_text().count(WORKER_STARTED)
    finally:
        if not arguments.keep:
            shutil.rmtree(scratch)
    print(table(builds))
    print(f"worker processes in the fresh environment: {workers}")
    same = len({frozenset(build.files.items()) for build in builds.values()}) == 1
    print("all files are the same bytes" if same else "FAILED: the files differ")
    return 0 if same and workers else 1


def parse_arguments() -> argparse.Namespace:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for flag in ("--images", "--captions", "--splits"):
        parser.add_argument(flag, required=True, help="as of build_records")
    parser.add_argument("--output", required=True, type=Path, help="scratch directory, made anew")
    parser.add_argument("--keep", action="store_true", help="keep the scratch directory")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for each build")
    arguments, arguments.further = parser.parse_known_args()
    if arguments.output.exists():
        parser.error(f"--output {arguments.output} exists: name a new directory")
    return arguments


def make_worker_environment(scratch: Path) -> Path:
    """Install the source distribution, and nothing else, into a fresh environment.

    Returns:
        its Python.
    """
    # As Beam does for --setup_file, but with nothing left behind in the repository.
    sdist = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", scratch, "sdist"]
    run([*sdist, "--dist-dir", scratch / "sdist"], cwd=REPOSITORY)
    (archive,) = (scratch / "sdist").iterdir()
    venv.create(scratch / "venv", with_pip=True)
    python = scratch / "venv" / "bin" / "python"
    run([python, "-m", "pip", "install", "--quiet", archive], cwd=scratch)
    check = "import importlib.util; assert importlib.util.find_spec('tensorflow') is None"
    run([python, "-c", check], cwd=scratch)
    return python


def run(command: list, cwd: Path) -> None:
    """Run a command of the preparation; its failure ends everything."""
    subprocess.run(command, cwd=cwd, env=clean_environment(), check=True, timeout=INSTALL_SECONDS)


def clean_environment() -> dict[str, str]:
    """Return the environment variables without those that lend a Python foreign packages."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@contextlib.contextmanager
def portable_services(scratch: Path, worker_python: Path) -> Iterator[tuple[str, str]]:
    """Serve jobs from this environment and workers from the fresh one; yields both addresses."""
    empty = scratch / "empty"
    empty.mkdir()
    job_port, pool_port = free_ports(2)
    job_service = [sys.executable, "-m", JOB_SERVICE, "--port", str(job_port)]
    job_service += ["--staging_dir", str(scratch / "staging")]
    # The pool starts its workers with whatever `python` it finds.
    path = f"{worker_python.parent}{os.pathsep}{os.environ['PATH']}"
    worker_pool = [str(worker_python), "-m", WORKER_POOL, "--service_port", str(pool_port)]
    with (
        service(job_service, job_port, scratch / "job_service.log", empty, {}),
        service(worker_pool, pool_port, scratch / "worker_pool.log", empty, {"PATH": path}),
    ):
        yield f"localhost:{job_port}", f"localhost:{pool_port}"


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def service(
    command: list[str], port: int, log: Path, cwd: Path, variables: Mapping[str, str]
) -> Iterator[None]:
    """Run a server while the context is open; on leaving, it and all its children end."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=clean_environment() | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for_server(process, port, log)
            yield
        finally:
            end_group(process)


def wait_for_server(process: subprocess.Popen, port: int, log: Path) -> None:
    """Wait until the server listens; raises RuntimeError, with its log, if it does not."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{' '.join(process.args)} does not listen on {port}:\n{log.read_text()}")


def end_group(process: subprocess.Popen) -> None:
    """End a process and its children."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)


def runners(job_service: str, worker_pool: str) -> dict[str, list[str]]:
    """Return the options of each runner, by a name for the table."""
    portable = ["--runner=PortableRunner", f"--job_endpoint={job_service}"]
    external = ["--environment_type=EXTERNAL", f"--environment_config={worker_pool}"]
    return {
        "in memory": [],
        "two threads": ["--direct_running_mode=multi_threading", "--direct_num_workers=2"],
        "two processes": ["--workers=2"],
        "portable, workers in the launcher": [*portable, "--environment_type=LOOPBACK"],
        "portable, workers in a fresh environment": [*portable, *external],
    }


def build_records(arguments: argparse.Namespace, output: Path, options: list[str]) -> Build:
    """Build the dataset on one runner; raises RuntimeError, with its log, if that fails."""
    source = [f"--{name}={getattr(arguments, name)}" for name in ("images", "captions", "splits")]
    command = [sys.executable, "-m", "beam_jobs.build_records", *source, f"--output={output}"]
    log = output.with_suffix(".log")
    start = time.monotonic()
    with log.open("w") as stream:
        process = subprocess.Popen(
            [*command, *arguments.further, *options],
            env=clean_environment(),
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(arguments.timeout)
        finally:
            end_group(process)
    seconds = time.monotonic() - start
    if code:
        raise RuntimeError(f"{' '.join(process.args)}: exit code {code}\n{log.read_text()}")
    files = {
        str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in output.rglob("*")
        if path.is_file()
    }
    return Build(seconds, load_manifest(output).fingerprint, files)


def table(builds: Mapping[str, Build]) -> str:
    """Return the builds as lines for people."""
    return "\n".join(
        f"{name:<42}{build.seconds:>7.1f} s{len(build.files):>4} files  {build.fingerprint}"
        for name, build in builds.items()
    )


if __name__ == "__main__":
    sys.exit(main())
