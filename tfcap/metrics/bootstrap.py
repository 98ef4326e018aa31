"""Bootstrap intervals: how far scores would move with other pictures of the same kind.

Efron, 1979; for machine translation, Koehn, 2004 (https://aclanthology.org/W04-3250). Pictures are
drawn with replacement, as many as there are, and the scores are taken anew from the statistics of
the drawn ones. What the metrics hold fixed stays so: CIDEr-D keeps the document frequencies of the
whole set. The intervals tell of the choice of pictures alone, not of another seed of training.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from tfcap.metrics.per_picture import PictureStatistics

RESAMPLES = 1000
SEED = 1
# The middle 95% of the resamples.
PERCENTILES = (2.5, 97.5)
_BLOCK = 100  # resamples at once: as many float64 for each picture


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A score, or a difference of scores, with its 95% interval from `low` to `high`."""

    value: float
    low: float
    high: float


def estimate(statistics: PictureStatistics) -> dict[str, Estimate]:
    """Return each metric with its interval. The same statistics give the same interval."""
    return _estimates(statistics.resampled, len(statistics))


def estimate_difference(one: PictureStatistics, other: PictureStatistics) -> dict[str, Estimate]:
    """Return how much more `one` scores than `other`, by the metrics that both have.

    Each resample is of the same pictures on both sides (a paired bootstrap): most of what makes a
    picture easy or hard cancels out, so the intervals are narrower than those of the two scores. An
    interval without 0 is what is called a significant difference.

    Raises:
        ValueError: the pictures are not the same, in the same order.
    """
    if one.pictures != other.pictures:
        raise ValueError("a paired bootstrap wants the same pictures in the same order")

    def differences(weights: np.ndarray) -> dict[str, np.ndarray]:
        ours, theirs = one.resampled(weights), other.resampled(weights)
        return {name: ours[name] - theirs[name] for name in ours if name in theirs}

    return _estimates(differences, len(one))


def _estimates(
    resampled: Callable[[np.ndarray], Mapping[str, np.ndarray]], pictures: int
) -> dict[str, Estimate]:
    generator = np.random.default_rng(SEED)
    even = np.full(pictures, 1 / pictures)
    blocks = [
        resampled(generator.multinomial(pictures, even, size=_BLOCK))
        for _ in range(RESAMPLES // _BLOCK)
    ]
    estimates = {}
    for name, (value,) in resampled(np.ones((1, pictures))).items():
        low, high = np.percentile(np.concatenate([block[name] for block in blocks]), PERCENTILES)
        estimates[name] = Estimate(float(value), float(low), float(high))
    return estimates
