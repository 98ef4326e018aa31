"""What a training shows while it runs: a bar in the terminal, curves for TensorBoard."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfcap.captioner import Captioner
from tfcap.reports.attention import write_samples

EVERY = 20  # steps between two points of the curves


class EpochBar:
    """The progress bar of an epoch, with pictures a second and the time left."""

    def __init__(self, epoch: int, epochs: int, pictures: int, done: int):
        self._bar = tqdm(
            desc=f"epoch {epoch + 1}/{epochs}", total=pictures, initial=done, unit=" pictures"
        )

    def __enter__(self) -> "EpochBar":
        return self

    def __exit__(self, *exception) -> None:
        self._bar.close()

    def update(self, seen: int) -> None:
        """Show how many pictures of the epoch were trained on, on all hosts."""
        self._bar.update(seen - self._bar.n)

    def show_loss(self, loss: float) -> None:
        """Show the mean loss of the epoch so far."""
        self._bar.set_postfix(loss=f"{loss:.3f}", refresh=False)


@dataclasses.dataclass(frozen=True)
class Samples:
    """A few validation pictures.

    Attributes:
        keys: their names.
        pixels: uint8 [N, S, S, 3].
    """

    keys: list[str]
    pixels: np.ndarray

    @classmethod
    def of(cls, batches: tf.data.Dataset, count: int = 4) -> "Samples":
        """Return the first pictures of batches with `image`."""
        batch = next(iter(batches))
        keys = [key.decode() for key in batch["key"].numpy()[:count]]
        return cls(keys, batch["image"].numpy()[:count])


class Curves:
    """Points for TensorBoard, by step of the whole training."""

    def __init__(self, directory: Path):
        self._writer = tf.summary.create_file_writer(str(directory))
        self._since = time.perf_counter()

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Note figures of a step."""
        with self._writer.as_default(step):
            for name, value in figures.items():
                tf.summary.scalar(name, value)

    def add_samples(
        self, step: int, captioner: Captioner, samples: Samples, encode: Callable
    ) -> None:
        """Caption sample pictures, and show what the decoder looked at, word by word."""
        with self._writer.as_default(step):
            write_samples(captioner, samples.keys, samples.pixels, encode(samples.pixels), step)

    def rate(self, pictures: int) -> float:
        """Return the pictures a second since the last call, which trained on so many."""
        before, self._since = self._since, time.perf_counter()
        return pictures / max(self._since - before, 1e-9)

    def flush(self) -> None:
        """Make sure that the points are on disk."""
        self._writer.flush()
