"""A run directory: its names, and who may write into it.

config.json            everything needed to repeat the run
vocab.txt              the words
encoder.weights.h5     the frozen encoder, so that the directory is whole by itself
decoder.weights.h5     the decoder of the best epoch
checkpoints/           decoder, optimizer and position, to go on from
metrics.json           a dict of figures for each epoch
samples.json           captions of a few validation pictures, epoch by epoch
logs/                  for TensorBoard
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from records.errors import UserError
from records.files import write_whole
from tfcap.config import RunConfig

CONFIG, VOCABULARY, METRICS, SAMPLES = "config.json", "vocab.txt", "metrics.json", "samples.json"
ENCODER, DECODER = "encoder.weights.h5", "decoder.weights.h5"
CHECKPOINTS, LOGS = "checkpoints", "logs"
SAMPLE_COUNT = 8  # pictures whose captions are noted after each epoch


def claim(run: Path, config: RunConfig) -> None:
    """Make a run directory with its `config.json`, or find that it is this very run's.

    Raises:
        UserError: it belongs to another run, or holds other things.
    """
    if (run / CONFIG).exists():
        differences = RunConfig.load(run / CONFIG).differences(config)
        if differences:
            raise UserError(
                f"{run} holds a run with other settings ({'; '.join(differences)}, there / here): "
                "give the settings it has, or another --run directory"
            )
        return
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise UserError(f"{run} exists and is no run: give --run a new directory")
    run.mkdir(parents=True, exist_ok=True)
    config.save(run / CONFIG)


def read_history(run: Path) -> list[dict]:
    """Return the figures of each epoch that has ended."""
    path = run / METRICS
    return json.loads(path.read_text("utf-8"))["epochs"] if path.exists() else []


def write_history(run: Path, history: list[dict], best: int) -> None:
    """Write `metrics.json`: the figures of each epoch, and the number (from 1) of the best."""
    write_whole(run / METRICS, json.dumps({"best_epoch": best + 1, "epochs": history}, indent=1))


def add_samples(
    run: Path, epoch: int, references: Mapping[str, Sequence[str]], captions: Mapping[str, str]
) -> None:
    """Note the captions of a few pictures after an epoch (counted from 0) in `samples.json`."""
    path = run / SAMPLES
    samples = json.loads(path.read_text("utf-8")) if path.exists() else {}
    keys = sorted(references)
    for key in keys[:: max(1, len(keys) // SAMPLE_COUNT)][:SAMPLE_COUNT]:
        sample = samples.setdefault(key, {"references": list(references[key]), "epochs": {}})
        sample["epochs"][str(epoch + 1)] = captions[key]
    write_whole(path, json.dumps(samples, indent=1))
