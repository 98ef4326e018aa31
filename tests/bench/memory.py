"""Does the memory of `build_records` grow with the number of pictures?

Peak resident memory (VmHWM) of the launcher and of the largest worker, on 1 and 2 workers, for two
sizes of the same data: its first pictures once, and each of them under several names. With one
worker, the launcher does the work itself. For Linux: it reads /proc.

Example:
  python tests/bench/memory.py --data flickr8k --json memory.json
"""

import argparse
import functools
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import ROOT, Corpus, larger_pictures, make_corpus

from tfcap.bench.measure import add_arguments, alternate, report

_POLL_SECONDS = 0.05
_WORKER = b"beam_jobs.worker"


def build_peaks(corpus: Corpus, output: Path, workers: int) -> dict[str, float]:
    """Build the records of a corpus and delete them; returns what `peak_megabytes` does."""
    peaks = peak_megabytes(corpus.build_command(output, workers), workers)
    shutil.rmtree(output)
    return peaks


def peak_megabytes(command: list[str], workers: int) -> dict[str, float]:
    """Run `build_records`; returns the peak of the launcher and of the largest worker."""
    peaks: dict[int, float] = {}
    working: set[int] = set()
    with tempfile.TemporaryFile() as said:
        launcher = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
        while launcher.poll() is None:
            for process in [launcher.pid, *_descendants(launcher.pid)]:
                try:
                    peaks[process] = _peak(process)
                    if _WORKER in Path(f"/proc/{process}/cmdline").read_bytes():
                        working.add(process)
                except OSError:
                    continue  # it has just ended; the last value stands
            time.sleep(_POLL_SECONDS)
        if launcher.returncode:
            said.seek(0)
            sys.exit(said.read()[-2000:].decode())
    if workers > 1 and len(working) != workers:
        sys.exit(f"saw {len(working)} worker processes instead of {workers}")
    largest = max((peaks[process] for process in working), default=peaks[launcher.pid])
    return {"launcher": peaks[launcher.pid], "worker": largest}


def _descendants(process: int) -> list[int]:
    # A child belongs to the thread that started it.
    try:
        threads = list(Path(f"/proc/{process}/task").iterdir())
        lists = [(thread / "children").read_text() for thread in threads]
    except OSError:
        return []
    return [
        each
        for child in map(int, " ".join(lists).split())
        for each in (child, *_descendants(child))
    ]


def _peak(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    if peak is None:
        raise ProcessLookupError(process)  # a zombie has no memory
    return int(peak[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="holds Images/ and captions.txt"
    )
    parser.add_argument("--pictures", type=int, default=7000, metavar="N")
    parser.add_argument("--times", type=int, default=4, metavar="N", help="names of each picture")
    add_arguments(parser, rounds=3)
    arguments = parser.parse_args()
    few, many = arguments.pictures, arguments.pictures * arguments.times
    sources = larger_pictures(arguments.data, 0)[:few]
    if len(sources) < few:
        sys.exit(f"{arguments.data} has only {len(sources)} pictures: lower --pictures")
    with tempfile.TemporaryDirectory(prefix="memory-") as name:
        scratch = Path(name)
        peers = {}
        for count in (few, many):
            corpus = make_corpus(arguments.data, sources, count, scratch / str(count))
            for workers in (1, 2):
                output = scratch / "records"
                peers[count, workers] = functools.partial(build_peaks, corpus, output, workers)
        peaks = alternate(peers, arguments.rounds)
    metrics = {}
    for workers, role in ((1, "worker"), (2, "worker"), (2, "launcher")):
        megabytes = {count: [peak[role] for peak in peaks[count, workers]] for count in (few, many)}
        what = f"--workers {workers}, {role}"
        for count, values in megabytes.items():
            metrics[f"{what}, {count} pictures: MB"] = values
        pairs = zip(megabytes[few], megabytes[many], strict=True)
        metrics[f"{what}: growth in percent"] = [100 * (b - a) / a for a, b in pairs]
    report(metrics, {"pictures": [few, many]}, arguments.json)


if __name__ == "__main__":
    main()
