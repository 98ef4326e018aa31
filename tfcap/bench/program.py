"""The training program as `tfcap train` makes it, on the first shards of a dataset."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from records.manifest import Manifest, SplitInfo
from tfcap.augment import AugmentSpec
from tfcap.bench.sample import SPLIT
from tfcap.config import ExecutionSpec, ModelSpec, RunConfig, TrainingSpec
from tfcap.features import Placement
from tfcap.training.program import Training

PLACES = ("pipeline", "device", "cache")
RATES = (1e-3, 0.0)  # of the decoder and of the encoder, which is frozen

Step = Callable[[dict[str, tf.Tensor]], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Placed:
    """Training with the encoder in one place.

    Attributes:
        batches: the batches of an epoch, by its number.
        step: trains on a batch, and waits for it to be done.
    """

    batches: Callable[[int], tf.data.Dataset]
    step: Step


class Program:
    """A captioner in training, without a run directory.

    Attributes:
        captioner: whose decoder has weights drawn at random.
        records: pictures in its shards.
    """

    def __init__(
        self,
        dataset: Path,
        manifest: Manifest,
        model: ModelSpec,
        batch_size: int,
        pictures: int,
        cache: Path,
        recipe: TrainingSpec | None = None,
    ):
        """Build it.

        Args:
            dataset: directory of the records.
            manifest: of the dataset.
            model: the architecture.
            batch_size: pictures a step.
            pictures: as many whole shards are taken as hold so many.
            cache: directory for stored features.
            recipe: of training; the default by default, and always without flips.

        Raises:
            UserError: the encoder, its weights or the validation split are not to be had.
        """
        config = RunConfig(
            fingerprint=manifest.fingerprint,
            encoder_fingerprint=model.encoder_weights,
            picture=manifest.picture,
            caption=manifest.caption,
            model=model,
            training=dataclasses.replace(
                recipe or TrainingSpec(), batch_size=batch_size, augment=AugmentSpec(flip=False)
            ),
            dataset=str(dataset),
            # Placed where nothing is looked for: each place is made by hand below.
            execution=ExecutionSpec(encoder_on="pipeline", cache=str(cache)),
        )
        manifest = first_shards(manifest, pictures)
        self._training = Training(config, manifest, encoder=cache / "none")
        self.captioner, self.records = self._training.captioner, manifest.records(SPLIT)

    def placed(self, where: str) -> Placed:
        """Return the training with the encoder in one of `PLACES`; "cache" writes it first."""
        phase = self._training.make_phase(False, Placement(where, "measured."))

        def step(batch):
            loss = phase.step(batch, 0, RATES)
            loss.numpy()
            return loss

        return Placed(phase.source.train, step)


def first_shards(manifest: Manifest, pictures: int) -> Manifest:
    """Return a manifest of the first shards.

    Those of the training split hold at least so many pictures, or all; of any other split the first
    one is left.
    """
    shards, count = [], 0
    for shard in manifest.split(SPLIT).shards:
        if count < pictures:
            shards.append(shard)
            count += shard.records
    others = {name: SplitInfo(info.shards[:1]) for name, info in manifest.split_infos.items()}
    return dataclasses.replace(manifest, split_infos={**others, SPLIT: SplitInfo(tuple(shards))})
