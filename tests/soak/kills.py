"""Training killed with signal 9 at random steps; exit code 1 unless it ends as if nothing had been.

    python tests/soak/kills.py --dataset DIR --encoder-weights FILE --scratch DIR [--json FILE]

A run goes to its end undisturbed. Then runs of the same command are killed at random moments
between their first checkpoint and their end, and taken up again. Identical means: every bit of the
last checkpoint (weights, optimizer, average, position), of the kept weights, of metrics.json and of
samples.json.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

# Before TensorFlow is imported: its C++ log would drown the table.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import h5py
import tensorflow as tf
from tqdm import tqdm

from tfcap import runs

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPE = (
    *("--units", "128", "--embedding", "64", "--batch-size", "64", "--save-every", "5"),
    *("--average", "0.99", "--crop", "0.3", "--colour", "0.2"),
)


class Bench:
    """The run that is killed, and the undisturbed one."""

    def __init__(self, arguments: argparse.Namespace):
        self.random = random.Random(arguments.seed)
        self.scratch = arguments.scratch
        self.flags = [
            f"--dataset={arguments.dataset}",
            f"--encoder={arguments.encoder}",
            f"--encoder-weights={arguments.encoder_weights}",
            f"--epochs={arguments.epochs}",
            f"--fine-tune-epochs={arguments.fine_tune_epochs}",
            *RECIPE,
        ]
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        started = time.monotonic()
        process = self.start("undisturbed")
        while process.poll() is None and not self.has_state("undisturbed"):
            time.sleep(0.1)
        self.first = time.monotonic() - started
        if process.wait():
            sys.exit((self.scratch / "log").read_text()[-2000:])
        self.seconds = time.monotonic() - started
        self.expected = contents(self.scratch / "undisturbed")

    def start(self, name: str) -> subprocess.Popen:
        """Start the command, or take the run up."""
        command = [sys.executable, "-m", "tfcap.cli.main", "train", f"--run={self.scratch / name}"]
        with (self.scratch / "log").open("ab") as log:
            return subprocess.Popen([*command, *self.flags], cwd=REPOSITORY, stdout=log, stderr=log)

    def has_state(self, name: str) -> bool:
        """Tell whether a run has a checkpoint."""
        return (self.scratch / name / runs.CHECKPOINTS / "checkpoint").exists()

    def kill_once(self, name: str) -> dict | None:
        """Kill a run at a random moment; returns where it was, None if it had ended before."""
        process = self.start(name)
        try:
            process.wait(self.random.uniform(self.first, 1.05 * self.seconds))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return position(self.scratch / name)
        return None


def contents(run: Path) -> dict[str, str]:
    """Return a hash of everything that a run leaves, by name, but for logs and its own paths."""
    reader = tf.train.load_checkpoint(str(run / runs.CHECKPOINTS))
    found = {
        name: _hash(reader.get_tensor(name).tobytes())
        for name in reader.get_variable_to_shape_map()
        if "OBJECT_GRAPH" not in name and "save_counter" not in name
    }
    for name in (runs.DECODER, runs.ENCODER):
        with h5py.File(run / name) as file:
            file.visititems(
                lambda path, item, name=name: found.update(
                    {f"{name}/{path}": _hash(item[()].tobytes())}
                    if isinstance(item, h5py.Dataset)
                    else {}
                )
            )
    for name in (runs.METRICS, runs.SAMPLES):
        found[name] = _hash((run / name).read_bytes())
    return found


def position(run: Path) -> dict:
    """Return how far the last checkpoint of a run has come."""
    if not (run / runs.CHECKPOINTS / "checkpoint").exists():
        return {"epoch": 0, "step": 0}
    reader = tf.train.load_checkpoint(str(run / runs.CHECKPOINTS))
    return {
        name: int(reader.get_tensor(f"{name}/.ATTRIBUTES/VARIABLE_VALUE"))
        for name in ("epoch", "step")
    }


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--dataset", type=Path, required=True, help="records of build_records")
    add("--encoder", default="mobilenet_v3_small")
    add("--encoder-weights", default="none")
    add("--scratch", type=Path, required=True, help="emptied first")
    add("--kills", type=int, default=20)
    add("--epochs", type=int, default=2)
    add("--fine-tune-epochs", type=int, default=1)
    add("--seed", type=int, default=1)
    add("--json", type=Path)
    arguments = parser.parse_args()
    bench = Bench(arguments)
    rows = []
    with tqdm(total=arguments.kills, desc="kill -9") as bar:
        while len(rows) < arguments.kills:
            shutil.rmtree(bench.scratch / "killed", ignore_errors=True)
            at = bench.kill_once("killed")
            if at is None:
                continue
            again = bench.start("killed").wait()
            found = contents(bench.scratch / "killed") if again == 0 else {}
            differing = [name for name, value in bench.expected.items() if found.get(name) != value]
            rows.append({**at, "exit_code": again, "differing": len(differing)})
            tqdm.write(json.dumps(rows[-1]))
            bar.update()
    identical = sum(not row["differing"] for row in rows)
    table = {"kills": len(rows), "identical": identical, "seconds": bench.seconds, "rows": rows}
    print(f"{identical} of {len(rows)} runs identical to the undisturbed one")
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2) + "\n")
    return int(identical < len(rows))


if __name__ == "__main__":
    sys.exit(main())
