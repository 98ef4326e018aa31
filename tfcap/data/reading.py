"""Reading records: in the order they are stored, or by their indexes in the order of an epoch."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from records.index import load_index, read_range, unframe
from records.tfrecord import CorruptRecord
from tfcap.data.damage import STRICT, Corrupt, assert_whole, report_damage
from tfcap.data.order import Order, StoredOrder
from tfcap.data.passes import Passes

# What one call of Python reads: with more, memory is no longer reused; with less, calls add up.
BLOCK_BYTES, BLOCK_RECORDS = 2 << 20, 1024
WINDOWS_AHEAD = 2  # that a stream reads while one more is consumed
_POSITION, _SHARD, _START, _END = 0, 1, 3, 4  # columns of `_places`


def read_records(
    shards: Sequence[Path],
    order: Order | Passes | None = None,
    batch_size: int | None = None,
    corrupt: Corrupt | None = None,
    in_graph: bool = False,
) -> tf.data.Dataset:
    """Read TFRecord files as (position int64 [], serialized record string []).

    Without an order, records come as stored, from wherever TensorFlow can read. With an order or
    with `corrupt` they are read by their indexes, which takes a file system. The order, and what
    it skips, cost no reading, and 40 bytes of memory a record; a stream holds at most three
    windows of records in memory, and begins anywhere by reading one.

    Args:
        shards: the files; their records are numbered through.
        order: of an epoch, or of each pass over the dataset.
        batch_size: of all hosts together; only several hosts need it.
        corrupt: counts damaged records. Each leaves an empty string at its position, so that
            batches hold the same positions as without damage. None: damage is an error, which
            `damage_named` turns into a line.
        in_graph: by operations of TensorFlow alone, which other processes can run, such as those
            of the tf.data service; that takes some eight times the CPU, and a read a record.

    Raises:
        UserError: a shard or its index is missing, they do not fit, or the hosts cannot share a
            batch equally.
        ValueError: damage is to be counted in the graph, which cannot.
    """
    if in_graph and corrupt:
        raise ValueError("damaged records cannot be counted in the graph")
    if order is None and corrupt is None:
        return tf.data.TFRecordDataset([str(path) for path in shards]).enumerate()
    passes = Passes.of(order or StoredOrder())
    cut = corrupt is not None
    indexes = [np.asarray(load_index(path, cut), np.int64) for path in shards]
    with tf.device("CPU"):
        names = tf.constant([str(path) for path in shards])
    if in_graph:
        return _read_one_by_one(names, _places(indexes, passes.order, batch_size))

    def blocks(order):
        rows = _places(indexes, order, batch_size)
        return rows, _windows(rows, order.window) if order.window else _blocks(rows)

    handle = corrupt.handle if corrupt else STRICT
    apart, ahead = 1, tf.data.AUTOTUNE
    if passes.order.window:
        apart, ahead = passes.order.block, WINDOWS_AHEAD
    return _read_blocks(names, *passes.variables(blocks), apart, handle, ahead)


def _places(indexes: Sequence[np.ndarray], order: Order, batch_size: int | None) -> np.ndarray:
    """Find the records that are to be read.

    Args:
        indexes: the offsets of each shard's records and, last, its size.
        order: of an epoch.
        batch_size: of all hosts together.

    Returns:
        int64 [records, 5]: the position, shard, number in it, first byte and end of each.
    """
    counts = [len(index) - 1 for index in indexes]
    ends = np.cumsum(counts)
    permutation = order.permutation(counts)
    positions = order.positions(permutation, batch_size)
    numbers = permutation[positions]
    shard = np.searchsorted(ends, numbers, side="right")
    index = numbers - np.append(0, ends[:-1])[shard]
    # The indexes before this one each have an offset more than records: the shard's size.
    at, offsets = numbers + shard, np.concatenate(indexes)
    return np.stack([positions, shard, index, offsets[at], offsets[at + 1]], axis=1)


def _windows(rows: np.ndarray, window: int) -> np.ndarray:
    """Return where the windows of places begin, and where the last one ends."""
    positions = rows[:, _POSITION]
    if not len(positions):
        return np.zeros(1, np.int64)
    windows = np.arange(positions[0] // window, positions[-1] // window + 2)
    return np.unique(np.searchsorted(positions, windows * window))


def _blocks(rows: np.ndarray) -> np.ndarray:
    """Return where blocks of some `BLOCK_BYTES` of places begin, and where the last one ends."""
    size = int((rows[:, _END] - rows[:, _START]).sum())
    step = min(BLOCK_RECORDS, max(1, BLOCK_BYTES * len(rows) // max(1, size)))
    return np.append(np.arange(0, len(rows), step), len(rows))


def _read_blocks(
    names: tf.Tensor, rows: tf.Variable, bounds: tf.Variable, apart: int, handle: int, ahead: int
) -> tf.data.Dataset:
    """Read the places between each two of the bounds in one call of `_read_payloads`."""

    def read(start, end):
        block = rows[start:end]
        arguments = [tf.gather(names, block[:, _SHARD]), block, apart, handle]
        payloads = tf.numpy_function(_read_payloads, arguments, tf.string, stateful=False)
        return block[:, _POSITION], tf.ensure_shape(payloads, [None])

    # The slices of a tensor stand fast when they are made: so they are made anew in each pass.
    blocks = tf.data.Dataset.from_tensors(0).flat_map(
        lambda _: tf.data.Dataset.from_tensor_slices((bounds[:-1], bounds[1:]))
    )
    return blocks.map(read, num_parallel_calls=ahead).unbatch()


def _read_one_by_one(names: tf.Tensor, rows: np.ndarray) -> tf.data.Dataset:
    """Read with a dataset of its own for each record: TensorFlow has no smaller reader."""

    def read(row):
        position, shard, index, start, _ = tf.unstack(row)
        frames = tf.raw_ops.TFRecordDatasetV2(
            filenames=[names[shard]],
            compression_type="",
            buffer_size=tf.constant(0, tf.int64),
            byte_offsets=[start],
        )
        records = tf.data.experimental.from_variant(frames, tf.TensorSpec([], tf.string))
        found = records.take(1).ignore_errors().map(lambda payload: (True, payload))
        missing = tf.data.Dataset.from_tensors((False, ""))
        # Not `reduce`, which wants to write down its dataset: TensorFlow forgets the offsets.
        whole, payload = found.concatenate(missing).take(1).get_single_element()
        with tf.control_dependencies([assert_whole(whole, names[shard], index, start)]):
            return position, tf.identity(payload)

    return tf.data.Dataset.from_tensor_slices(rows).map(read, num_parallel_calls=tf.data.AUTOTUNE)


# A function of the module, not a closure: TensorFlow keeps what `numpy_function` calls for ever.
def _read_payloads(names: np.ndarray, rows: np.ndarray, apart: int, handle: int) -> np.ndarray:
    """Read records, each shard from its beginning to its end.

    Args:
        names: of the shard of each record, bytes [n].
        rows: int64 [n, 5], as of `_places`.
        apart: records whose numbers in their shard differ by no more than this come in one read.
        handle: of what counts damage.

    Returns:
        Object [n] of bytes, empty where a record was stepped over.

    Raises:
        CorruptRecord: names shard, record and byte; also where a shard cannot be read.
    """
    shards, indexes, starts, ends = rows.T[_SHARD:]
    stored = np.lexsort((indexes, shards))
    far = (np.diff(shards[stored]) != 0) | (np.diff(indexes[stored]) > apart)
    cuts = [0, *(np.flatnonzero(far) + 1).tolist(), len(stored)]
    # Lists, because single elements of arrays are slow.
    stored, shards, starts, ends = (each.tolist() for each in (stored, shards, starts, ends))
    runs = [stored[start:end] for start, end in itertools.pairwise(cuts)]
    payloads = np.empty(len(stored), object)

    def damage(at: int, reason: str) -> CorruptRecord:
        return CorruptRecord(os.fsdecode(names[at]), int(indexes[at]), starts[at], reason)

    for _, group in itertools.groupby(runs, key=lambda run: shards[run[0]]):
        of_shard = list(group)
        first = of_shard[0][0]
        try:
            _read_shard(names[first], of_shard, starts, ends, payloads)
        except OSError as error:
            raise damage(first, error.strerror) from None
    for at in stored:
        if payloads[at] is None:
            report_damage(damage(at, "does not match its checksums"), int(handle))
            payloads[at] = b""
    return payloads


def _read_shard(
    name: bytes,
    runs: Sequence[Sequence[int]],
    starts: Sequence[int],
    ends: Sequence[int],
    payloads: np.ndarray,
) -> None:
    """Fill in the payloads of a shard's records, each run of them in one read; None is damage."""
    # No file stays open: a dataset may have more shards than a process may have files.
    file = os.open(name, os.O_RDONLY)
    try:
        for run in runs:
            begin = starts[run[0]]
            content = read_range(file, begin, ends[run[-1]])
            for at in run:
                payloads[at] = unframe(content[starts[at] - begin : ends[at] - begin])
    finally:
        os.close(file)
