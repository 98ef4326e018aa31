"""What a training knows of its course: pure functions of the history and the step.

Nothing of it stands in a checkpoint, so nothing of it can be lost.
"""

import math
from collections.abc import Sequence

from tfcap.config import OptimizerSpec, TrainingSpec

History = Sequence[dict]  # the figures of each epoch that has ended


def best_epoch(history: History) -> int:
    """Return the index of the first epoch with the highest validation CIDEr."""
    return max(range(len(history)), key=lambda epoch: history[epoch]["val_CIDEr"])


def fine_tunes(history: History, spec: TrainingSpec) -> bool:
    """Tell whether the decoder has settled, so that the encoder is trained too, if it ever is."""
    return _settled_after(history, spec) is not None


def training_phases(history: History, spec: TrainingSpec) -> list[str]:
    """Return the name of what each epoch of the history was part of."""
    tunes = spec.fine_tune.epochs > 0
    return [
        "fine-tuning" if tunes and fine_tunes(history[:epoch], spec) else "frozen encoder"
        for epoch in range(len(history))
    ]


def is_over(history: History, spec: TrainingSpec) -> bool:
    """Tell whether nothing is left to train."""
    settled = _settled_after(history, spec)
    return settled is not None and len(history) - settled >= spec.fine_tune.epochs


def learning_rates(
    spec: TrainingSpec, history: History, step: int, steps_per_epoch: int
) -> tuple[float, float]:
    """Return the learning rates of decoder and encoder.

    Args:
        spec: the recipe.
        history: the epochs before this one.
        step: of the epoch under way, counted from 0.
        steps_per_epoch: of each epoch.
    """
    optimizer = spec.optimizer
    passed = len(history) * steps_per_epoch + step
    warmup = max(1, round(optimizer.warmup_epochs * steps_per_epoch))
    settled = _settled_after(history, spec)
    tuned = 0 if settled is None else passed - settled * steps_per_epoch
    tuning = 0.0 if settled is None else spec.fine_tune.learning_rate
    if optimizer.schedule == "cosine":
        rate = warm_cosine(optimizer.learning_rate, passed, warmup, spec.epochs * steps_per_epoch)
        return rate, tuning * cosine(tuned / max(1, spec.fine_tune.epochs * steps_per_epoch))
    fall = optimizer.plateau_factor ** plateaus(history, optimizer)
    return optimizer.learning_rate * min(1, passed / warmup) * fall, tuning * fall


def warm_cosine(peak: float, step: int, warmup: int, steps: int) -> float:
    """Return the rate of a step: from 0 in a line to `peak`, then along a cosine to 0 at `steps`.

    Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", without any.
    """
    if step < warmup:
        return peak * step / warmup
    return peak * cosine((step - warmup) / max(1, steps - warmup))


def cosine(share: float) -> float:
    """Return half a period of a cosine, from 1 at a share of 0 to 0 at 1 and above."""
    return (1 + math.cos(math.pi * min(1, share))) / 2


def plateaus(history: History, spec: OptimizerSpec) -> int:
    """Count how often the validation CIDEr has stayed below its best for `plateau_patience`."""
    best, waited, count = -math.inf, 0, 0
    for figures in history:
        waited += 1
        if figures["val_CIDEr"] > best:
            best, waited = figures["val_CIDEr"], 0
        elif waited == spec.plateau_patience:
            waited, count = 0, count + 1
    return count


def _settled_after(history: History, spec: TrainingSpec) -> int | None:
    """Return after how many epochs the decoder had settled, None if it has not."""
    for epochs in range(len(history) + 1):
        if epochs >= spec.epochs - spec.fine_tune.epochs:
            return epochs
        if epochs and epochs - 1 - best_epoch(history[:epochs]) >= spec.patience:
            return epochs
    return None
