"""`tfcap bench train`: the training program by placement, its step alone, and what it waits for."""

import os
import time
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfcap.bench.data import drain
from tfcap.bench.measure import Figures, alternate, timed
from tfcap.bench.program import PLACES, Program, Step
from tfcap.bench.stages import limiting

DISTINCT_BATCHES = 16  # of features that are held in memory for the step alone


class Run(NamedTuple):
    """An epoch that was measured: its length, and what it waited for data, in seconds."""

    seconds: float
    waited: float = 0.0


def bench_train(program: Program, batch_size: int, rounds: int, captions: float) -> Figures:
    """Measure training.

    Args:
        program: what trains.
        batch_size: pictures a step.
        rounds: measurements of each.
        captions: of a picture, on average.
    """
    runs = alternate(_peers(program), rounds, uncounted=1)
    count = program.records
    rates = {name: [count / run.seconds for run in measured] for name, measured in runs.items()}
    metrics = {}
    for name, values in rates.items():
        metrics[f"{name}: pictures/s"] = values
        if name != "features alone":
            metrics[f"{name}: captions/s"] = [captions * value for value in values]
        if name.startswith("encoder on"):
            waited = [run.waited / run.seconds for run in runs[name]]
            metrics[f"{name}: share of the time that waits for data"] = waited
    setting = {"pictures": count, "batch_size": batch_size, "cores": os.cpu_count()}
    stages = {"features": rates["features alone"], "step": rates["step alone"]}
    return Figures(metrics, setting, limiting(stages))


def _peers(program: Program) -> dict[str, Callable[[], Run]]:
    places = {where: program.placed(where) for where in PLACES}
    streamed, cached = places["pipeline"], places["cache"]
    # Features are features: one trace for those that are streamed and those that are stored.
    steps = {where: placed.step for where, placed in places.items()} | {"pipeline": cached.step}
    peers = {
        f"encoder on {where}": lambda where=where: run_epoch(steps[where], places[where].batches(0))
        for where in PLACES
    }
    held = list(cached.batches(0).take(DISTINCT_BATCHES))
    peers["step alone"] = lambda: _repeat(cached.step, held, program.records)
    peers["features alone"] = lambda: Run(timed(lambda: drain(streamed.batches(0)))())
    return peers


def run_epoch(step: Step, batches: tf.data.Dataset) -> Run:
    """Train on all batches; the time that the iterator keeps the loop waiting is told apart."""
    start, waited = time.perf_counter(), 0.0
    iterator = iter(batches)
    while True:
        asked = time.perf_counter()
        batch = next(iterator, None)
        waited += time.perf_counter() - asked
        if batch is None:
            return Run(time.perf_counter() - start, waited)
        step(batch)


def _repeat(step: Step, batches: list[dict], pictures: int) -> Run:
    """Train on batches in memory, again and again; the seconds are scaled to so many pictures."""
    start, done = time.perf_counter(), 0
    while done < pictures:
        for batch in batches:
            step(batch)
            done += len(batch["key"])
    return Run((time.perf_counter() - start) * pictures / done)
