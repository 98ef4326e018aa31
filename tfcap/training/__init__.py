"""Training: exact to the step, on one device or several."""

from tfcap.training.plan import dry_run
from tfcap.training.program import train
from tfcap.training.schedule import best_epoch

__all__ = ["best_epoch", "dry_run", "train"]
