"""Does the memory of `tfcap train` grow, from epoch to epoch or with the number of records?

Peak resident memory (VmHWM) at the end of each epoch, for two sizes of the same data: its first
pictures once, and each of them under several names; the larger trains fewer epochs. Both know the
same words, all of them, and validate as many pictures. The encoder has random weights: what it says
does not matter here. For Linux: it reads /proc.

Example:
  python tests/bench/training_memory.py --data flickr8k --json training_memory.json
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import ROOT, Corpus, larger_pictures, make_corpus, run_quietly

_POLL_SECONDS = 0.1
RECIPE = "--encoder-weights none --encoder-on pipeline --units 128 --embedding 64 --patience 99"


def build(corpus: Corpus, validation: float, output: Path) -> None:
    """Build the records of a corpus, a share of them for validation."""
    splits = f"val={validation:.6f},train={1 - validation:.6f}"
    command = [*corpus.build_command(output, 2), "--min-count", "1"]
    command[command.index("--splits") + 1] = splits
    run_quietly(command, cwd=ROOT)


def peaks_by_epoch(dataset: Path, run: Path, epochs: int) -> list[float]:
    """Train; returns the peak in MB at the end of each epoch."""
    command = [sys.executable, "-m", "tfcap.cli.main", "train", "--dataset", str(dataset)]
    command += ["--run", str(run), "--epochs", str(epochs), *RECIPE.split()]
    peaks: list[float] = []
    last = 0.0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            if found := re.search(r"VmHWM:\s+(\d+) kB", status):
                last = int(found[1]) / 1024
            if _epochs(run) > len(peaks):
                peaks.append(last)
            time.sleep(_POLL_SECONDS)
        if process.returncode:
            said.seek(0)
            sys.exit(said.read()[-2000:].decode())
    return [*peaks, last][:epochs]


def _epochs(run: Path) -> int:
    path = run / "metrics.json"
    return len(json.loads(path.read_text())["epochs"]) if path.exists() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="holds Images/ and captions.txt")
    add("--pictures", type=int, default=1000, metavar="N")
    add("--times", type=int, default=8, metavar="N", help="names of each picture")
    add("--epochs", type=int, default=5, metavar="N", help="of the smaller; the larger: 2")
    add("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    few, many = arguments.pictures, arguments.pictures * arguments.times
    sources = larger_pictures(arguments.data, 0)[:few]
    if len(sources) < few:
        sys.exit(f"{arguments.data} has only {len(sources)} pictures: lower --pictures")
    peaks = {}
    with tempfile.TemporaryDirectory(prefix="training-memory-") as name:
        scratch = Path(name)
        for count, epochs in ((few, arguments.epochs), (many, 2)):
            corpus = make_corpus(arguments.data, sources, count, scratch / str(count))
            # As many pictures to validate in both: their captions are kept in memory.
            build(corpus, 0.1 * few / count, scratch / f"records-{count}")
            dataset, run = scratch / f"records-{count}", scratch / f"run-{count}"
            peaks[count] = peaks_by_epoch(dataset, run, epochs)
    for count, megabytes in peaks.items():
        print(f"{count} pictures, MB by epoch: {', '.join(f'{peak:.0f}' for peak in megabytes)}")
    growth = {
        "from the first epoch to the last, percent": 100 * (peaks[few][-1] / peaks[few][0] - 1),
        f"{arguments.times} times the records, percent": 100 * (peaks[many][1] / peaks[few][1] - 1),
    }
    for what, percent in growth.items():
        print(f"{what}: {percent:+.1f}")
    if arguments.json:
        content = {"megabytes": peaks, "growth": growth}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
