"""A run directory: its names, and who may write into it.

config.json            everything needed to repeat the run
vocab.txt              the words
encoder.weights.h5     the encoder, so that the directory is whole by itself
decoder.weights.h5     the decoder of the best epoch; the encoder is that epoch's too
checkpoints/           all that training needs to go on
metrics.json           a dict of figures for each epoch
times.json             seconds of each epoch's steps
samples.json           captions of a few validation pictures, epoch by epoch
epochs/                the weights of each epoch, if they were asked for
logs/                  for TensorBoard
average.json           of `tfcap average`: whose mean the weights are; there is no history then
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from records.errors import UserError
from records.files import write_whole
from tfcap.config import RunConfig

CONFIG, VOCABULARY, METRICS, SAMPLES = "config.json", "vocab.txt", "metrics.json", "samples.json"
TIMES, AVERAGE = "times.json", "average.json"
ENCODER, DECODER = "encoder.weights.h5", "decoder.weights.h5"
CHECKPOINTS, LOGS, EPOCHS = "checkpoints", "logs", "epochs"
SAMPLE_COUNT = 8  # pictures whose captions are noted after each epoch


def check(run: Path, config: RunConfig) -> None:
    """Find that a run directory is this very run's, or is yet to be made.

    Raises:
        UserError: it belongs to another run, or holds other things.
    """
    if (run / AVERAGE).exists():
        raise UserError(
            f"{run} is the mean of other runs: go on --from {run}, in another --run directory"
        )
    if (run / CONFIG).exists():
        differences = RunConfig.load(run / CONFIG).differences(config)
        if differences:
            raise UserError(
                f"{run} holds a run with other settings ({'; '.join(differences)}, there / here): "
                "give the settings it has, or another --run directory"
            )
    elif run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise UserError(f"{run} exists and is no run: give --run a new directory")


def claim(run: Path, config: RunConfig) -> None:
    """Make a run directory, or take up this very run's; writes its `config.json`.

    Raises:
        UserError: it belongs to another run, or holds other things.
    """
    check(run, config)
    run.mkdir(parents=True, exist_ok=True)
    config.save(run / CONFIG)


def weights_fingerprint(*weights: str) -> str:
    """Return what tells an encoder's or decoder's weights from all others.

    Args:
        weights: as of `tfcap.config.ModelSpec`: "imagenet", "none" or a path; several paths.

    Returns:
        The SHA-256 of the file, or of several in a row, in 64 hex digits; what is no path, as it
        is; "none" of none.

    Raises:
        UserError: the file cannot be read.
    """
    if not weights or weights[0] in ("imagenet", "none"):
        return weights[0] if weights else "none"
    digest = hashlib.sha256()
    for path in map(Path, weights):
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}): check the path") from None
    return digest.hexdigest()


def read_history(run: Path) -> list[dict]:
    """Return the figures of each epoch that has ended."""
    path = run / METRICS
    return json.loads(path.read_text("utf-8"))["epochs"] if path.exists() else []


def write_history(run: Path, history: list[dict], best: int) -> None:
    """Write `metrics.json`: the figures of each epoch, and the number (from 1) of the best."""
    write_whole(run / METRICS, json.dumps({"best_epoch": best + 1, "epochs": history}, indent=1))


def epoch_directory(run: Path, epoch: int) -> Path:
    """Return where the weights of an epoch (counted from 0) are kept."""
    return run / EPOCHS / f"{epoch + 1:03}"


def read_times(run: Path) -> list[float]:
    """Return the seconds that the steps of each epoch took."""
    path = run / TIMES
    return json.loads(path.read_text("utf-8")) if path.exists() else []


def add_time(run: Path, epoch: int, seconds: float) -> None:
    """Note seconds of an epoch (counted from 0), in addition to those noted before."""
    times = read_times(run)
    times += [0.0] * (epoch + 1 - len(times))
    times[epoch] = round(times[epoch] + seconds, 3)
    write_whole(run / TIMES, json.dumps(times) + "\n")


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
