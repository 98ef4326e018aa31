"""Reading records: in the order they are stored, or by their indexes in the order of an epoch."""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from records.errors import UserError
from records.index import load_index, read_record
from records.tfrecord import CorruptRecord
from tfcap.data.order import Order

BLOCK = 64  # records that one call of Python reads
# In the messages of TensorFlow: an exception of Python, and what surrounds one of its own.
_CORRUPT = re.compile(rf"{CorruptRecord.__name__}: (.+)")
_SURROUNDINGS = re.compile(r"\{\{.*\}\} | \[Op:.*")


def read_records(shards: Sequence[Path], order: Order | None = None) -> tf.data.Dataset:
    """Read TFRecord files as (position int64 [], serialized record string []).

    Without an order, records come as stored, from wherever TensorFlow can read. With one, all
    records of all shards are shuffled together and read by their indexes, which takes local
    files; the order, and what it skips, cost no reading, and 16 bytes of memory a record.

    Raises:
        UserError: with an order, where a shard or its index is missing or they do not fit.
    """
    names = [str(path) for path in shards]
    if order is None:
        return tf.data.TFRecordDataset(names).enumerate()
    indexes = [np.asarray(load_index(path), np.int64) for path in shards]
    counts = [len(index) - 1 for index in indexes]
    ends = np.cumsum(counts)  # records are numbered through all shards
    with tf.device("CPU"):
        permutation = tf.constant(order.permutation(sum(counts)))
        names, firsts, ends, offsets = map(
            tf.constant, (names, ends - counts, ends, np.concatenate(indexes))
        )

    def read_block(position):
        numbers = permutation[position : position + BLOCK]
        shard = tf.searchsorted(ends, numbers, side="right", out_type=tf.int64)
        # The indexes before this one each have an offset more than records: the shard's size.
        at = numbers + shard
        payloads = tf.numpy_function(
            _read_payloads,
            [
                tf.gather(names, shard),
                numbers - tf.gather(firsts, shard),
                tf.gather(offsets, at),
                tf.gather(offsets, at + 1),
            ],
            tf.string,
            stateful=False,
        )
        positions = position + tf.range(tf.size(numbers, tf.int64))
        return positions, tf.ensure_shape(payloads, [None])

    blocks = tf.data.Dataset.range(order.skip, len(permutation), BLOCK)
    return blocks.map(read_block, num_parallel_calls=tf.data.AUTOTUNE).unbatch()


@contextlib.contextmanager
def damage_named(dataset: str | Path) -> Iterator[None]:
    """Turn the errors of damaged and missing shards, while batches are read, into one line.

    Raises:
        UserError: instead of them.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.NotFoundError, tf.errors.UnknownError) as error:
        corrupt = _CORRUPT.search(error.message)
        if corrupt is None and isinstance(error, tf.errors.UnknownError):
            raise
        reason = corrupt[1] if corrupt else _SURROUNDINGS.sub("", error.message.splitlines()[0])
        raise UserError(f"{dataset} is damaged ({reason}): see `tfcap verify`") from None


# A function of the module, not a closure: TensorFlow keeps what `numpy_function` calls for ever.
def _read_payloads(
    names: np.ndarray, indexes: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """Read records, arrays [n] of their places; its one error names shard, record and byte."""
    payloads = []
    for name, index, start, end in zip(names, indexes, starts.tolist(), ends.tolist(), strict=True):
        shard = os.fsdecode(name)
        try:
            payloads.append(read_record(shard, index, start, end))
        except OSError as error:
            raise CorruptRecord(shard, index, start, error.strerror) from None
    return np.array(payloads, object)
