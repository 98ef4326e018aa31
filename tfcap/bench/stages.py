"""Which stage limits a chain of stages, and what helps against it."""

from collections.abc import Mapping, Sequence
from statistics import median

# Every flag that is named here belongs to a command that is named before it.
REMEDIES = {
    "read": "a faster disk, or shuffling within windows: tfcap train --order-window 4096",
    "parse": "cache the features with their captions: tfcap train --encoder-on cache",
    "decode": "decode each picture but once: tfcap train --encoder-on cache",
    "resize": "store pictures in the encoder's size: build_records --image-size, square sources",
    "encode": "encode each picture but once: tfcap train --encoder-on cache",
    "to the device": "move bytes and not features: tfcap train --encoder-on device",
    "features": "encode each picture but once: tfcap train --encoder-on cache",
    "step": "a smaller decoder: tfcap train --units 256 --embedding 128",
    "greedy": "more pictures in a call: tfcap caption --batch-size 32",
}


def implied_rate(rates: Sequence[float]) -> float:
    """Return what stages that share all cores can do one after the other.

    Each rate is of one stage alone on all cores; 1 / rate = sum of 1 / rate_i.
    """
    return 1 / sum(1 / rate for rate in rates)


def limiting(rates: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """Return the findings `bottleneck` and `remedy`.

    Args:
        rates: of each stage alone, round by round, by a key of `REMEDIES`.
    """
    slowest = min(rates, key=lambda stage: median(rates[stage]))
    return {"bottleneck": slowest, "remedy": REMEDIES[slowest]}
