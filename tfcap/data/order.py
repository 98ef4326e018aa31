"""The order of an epoch: which record comes at which position, and which host reads it."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from records.errors import UserError

BLOCKS_IN_WINDOW = 16  # of a stream, so that records which lie together do not train together


@dataclasses.dataclass(frozen=True)
class Order:
    """In which order an epoch reads its records, a pure function of (seed, epoch, position).

    Without a window, all records of all shards are shuffled together. With one, the order is
    for disks and network file systems where many small reads are dear, a stream: blocks of
    records that lie together are shuffled over all shards, and then the records of each window of
    `window` positions, some 16 blocks. Whoever reads it holds a window in memory.

    Several hosts share the batches of one order: batch k holds the same records however many
    they are, and each host reads its own of them.

    Attributes:
        seed: of the run.
        epoch: counted from 0.
        skip: positions at the beginning that were trained on before an interruption, by all hosts
            together.
        host: this one, from 0.
        hosts: that train together.
        window: records that a stream shuffles at a time; 0 for no stream.
    """

    seed: int
    epoch: int
    skip: int = 0
    host: int = 0
    hosts: int = 1
    window: int = 0

    def __post_init__(self):
        if min(self.seed, self.epoch, self.skip, self.window) < 0:
            raise ValueError(f"seed, epoch, skip and window must be at least 0, got {self}")
        if not 0 <= self.host < self.hosts:
            raise ValueError(f"host must be in 0..{self.hosts - 1}, got {self}")

    @property
    def block(self) -> int:
        """Records that lie together and are shuffled as one; a shard's last block has fewer."""
        return max(1, self.window // BLOCKS_IN_WINDOW)

    def epoch_seed(self) -> int:
        """Return the seed, below 2**63, of everything in this epoch that is drawn in the graph."""
        sequence = np.random.SeedSequence((self.seed, self.epoch), spawn_key=(0,))
        return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))

    def permutation(self, counts: int | Sequence[int]) -> np.ndarray:
        """Return int64 [records], the number of the record at each position of this epoch.

        They are sorted by random 64-bit numbers of Philox (Salmon et al. 2011, "Parallel Random
        Numbers: As Easy as 1, 2, 3"). Its raw numbers are the same in every version of NumPy, by
        NEP 19; those of `Generator.permutation` need not be.

        Args:
            counts: records of each shard, or of all of them where there is no window; records are
                numbered through all shards.
        """
        counts = np.atleast_1d(np.asarray(counts, np.int64))
        random = np.random.Philox(np.random.SeedSequence((self.seed, self.epoch)))
        records = int(counts.sum())
        if not self.window:
            return np.argsort(random.random_raw(records), kind="stable")
        firsts, sizes = _blocks(counts, self.block)
        shuffled = np.argsort(random.random_raw(len(firsts)), kind="stable")
        numbers = _ranges(firsts[shuffled], sizes[shuffled])
        windows = np.arange(records) // self.window
        return numbers[np.lexsort((random.random_raw(records), windows))]

    def positions(self, permutation: np.ndarray, batch_size: int | None = None) -> np.ndarray:
        """Return int64 [n], the positions that this host reads, ascending.

        Batches are counted from `skip` on. Of each, a host reads the records whose numbers come
        together, so that from epoch to epoch it reads much the same part of the shards. The last
        batch may have fewer records, and the first hosts then read one more than the others;
        with fewer records than hosts, the last hosts read none and have one batch less.

        Args:
            permutation: of this epoch.
            batch_size: of all hosts together; not needed with a single host.

        Raises:
            UserError: the hosts cannot share a batch equally.
        """
        rest = np.arange(self.skip, len(permutation))
        if self.hosts == 1:
            return rest
        if not batch_size or batch_size % self.hosts:
            raise UserError(
                f"{self.hosts} hosts cannot share batches of {batch_size}: choose a multiple"
            )
        ragged = len(rest) - len(rest) % batch_size
        return np.concatenate(
            [
                self._share(rest[:ragged].reshape(-1, batch_size), permutation),
                self._share(rest[ragged:].reshape(1, -1), permutation),
            ]
        )

    def _share(self, batches: np.ndarray, permutation: np.ndarray) -> np.ndarray:
        """Return this host's of positions [batches, size], flattened."""
        every, extra = divmod(batches.shape[1], self.hosts)
        start = self.host * every + min(self.host, extra)
        mine = np.argsort(permutation[batches], axis=1)[
            :, start : start + every + (self.host < extra)
        ]
        return np.take_along_axis(batches, np.sort(mine, axis=1), axis=1).ravel()


@dataclasses.dataclass(frozen=True)
class StoredOrder(Order):
    """Records as they are stored, shard by shard."""

    seed: int = 0
    epoch: int = 0

    def permutation(self, counts):
        return np.arange(np.sum(counts))


def _blocks(counts: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut each shard into blocks; returns (number of the first record, records) of each."""
    blocks = -(-counts // size)
    inside = _ranges(np.zeros_like(blocks), blocks) * size  # first record, counted in its shard
    sizes = np.minimum(size, np.repeat(counts, blocks) - inside)
    return np.repeat(np.cumsum(counts) - counts, blocks) + inside, sizes


def _ranges(firsts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the ranges from each of `firsts` on, of `sizes`, one after the other."""
    before = np.cumsum(sizes) - sizes
    return np.repeat(firsts - before, sizes) + np.arange(sizes.sum())
