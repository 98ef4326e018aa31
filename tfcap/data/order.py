"""The order of an epoch."""

import dataclasses

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Order:
    """In which order an epoch reads its records, a pure function of (seed, epoch).

    Attributes:
        seed: of the run.
        epoch: counted from 0.
        skip: records at the beginning that were trained on before an interruption.
        flip: whether pictures are mirrored at random.
    """

    seed: int
    epoch: int
    skip: int = 0
    flip: bool = False

    def __post_init__(self):
        if min(self.seed, self.epoch, self.skip) < 0:
            raise ValueError(f"seed, epoch and skip must be at least 0, got {self}")

    def epoch_seed(self) -> int:
        """Return the seed of everything in this epoch that is drawn in the graph."""
        return int(tf.random.experimental.stateless_fold_in([self.seed, 0], self.epoch)[0])

    def permutation(self, records: int) -> np.ndarray:
        """Return int64 [records], all their numbers in the order of this epoch.

        They are sorted by random 64-bit numbers of Philox (Salmon et al. 2011, "Parallel Random
        Numbers: As Easy as 1, 2, 3"). Its raw numbers are the same in every version of NumPy, by
        NEP 19; those of `Generator.permutation` need not be.
        """
        random = np.random.Philox(np.random.SeedSequence((self.seed, self.epoch)))
        return np.argsort(random.random_raw(records), kind="stable")
