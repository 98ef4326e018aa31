"""A dry run: builds everything, makes two steps, and says what a training would do."""

import itertools
import time
from pathlib import Path

import numpy as np

from records.errors import UserError
from records.manifest import Manifest
from tfcap import runs
from tfcap.config import RunConfig
from tfcap.features import Placement
from tfcap.training.program import Training
from tfcap.training.schedule import learning_rates

STEPS = 2


def dry_run(config: RunConfig, manifest: Manifest, run: Path) -> str:
    """Make two steps, and leave nothing behind.

    Args:
        config: what to train.
        manifest: of the dataset.
        run: the run directory, which is only looked at.

    Returns:
        The plan, a few lines to print.

    Raises:
        UserError: as `train` does.
    """
    runs.check(run, config)
    training = Training(config, manifest, run / runs.ENCODER)
    placement = training.placement
    if placement.where == "cache":  # which a dry run does not write
        placement = Placement("pipeline", placement.reason)
    phase = training.make_phase(False, placement)
    losses, times = [], []
    with phase.source.damage_named():
        for step, batch in enumerate(itertools.islice(phase.source.train(0), STEPS)):
            start = time.perf_counter()
            rates = learning_rates(config.training, [], step, training.steps)
            losses.append(float(phase.step(batch, step, rates)))
            times.append(time.perf_counter() - start)
    if not np.all(np.isfinite(losses)):
        raise UserError(f"the loss is {losses[-1]}: try --precision float32")
    steps = (
        f"two steps   losses {losses[0]:.3f}, {losses[-1]:.3f}; the second took {times[-1]:.2f} s"
    )
    return "\n".join([*describe(training), steps])


def describe(training: Training) -> list[str]:
    """Return what a training consists of, line by line."""
    spec, manifest, captioner = training.spec, training.manifest, training.captioner
    tuned, blocks = "", spec.fine_tune.blocks
    if spec.fine_tune.epochs:
        part = f" (its last blocks: {blocks})" if blocks else ""
        tuned = f", the last {spec.fine_tune.epochs} with the encoder{part}"
    encoder, decoder = (model.count_params() for model in (captioner.encoder, captioner.decoder))
    devices = training.strategy.num_replicas_in_sync
    placement = training.placement
    vectors = [f"vectors     {training.vectors}"] if training.vectors else []
    return [
        f"pictures    {training.pictures} to train, {manifest.records('val')} to validate",
        f"steps       {training.steps} an epoch, of {spec.batch_size} pictures each",
        f"epochs      {spec.epochs} at most{tuned}",
        f"parameters  {decoder:,} in the decoder, {encoder:,} in the encoder",
        f"encoder on  {placement.where}: {placement.reason}",
        f"devices     {devices}",
        f"precision   {spec.precision}",
        *vectors,
    ]
