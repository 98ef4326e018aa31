"""Damaged records: stop at the first, in one line, or step over them and count."""

import contextlib
import itertools
import re
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from records.errors import UserError
from records.tfrecord import CorruptRecord

PLACES = 5  # that are kept in words
# In the messages of TensorFlow: an exception of Python or what `assert_whole` says, and what
# surrounds one of its own.
_CORRUPT = re.compile(rf"{CorruptRecord.__name__}: (.+?)\]?$", re.MULTILINE)
_SURROUNDINGS = re.compile(r"\{\{.*\}\} | \[Op:.*")
_ERRORS = (
    tf.errors.DataLossError,
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.UnknownError,
)


class Corrupt:
    """Counts the damaged records that reading steps over, each of them once.

    Reading in several threads, ahead of training or once more counts no record twice.

    Attributes:
        places: the first few, in the words of `CorruptRecord`.
        handle: a number that stands for this object in a graph.
    """

    def __init__(self):
        self.places: list[str] = []
        self.handle = next(_HANDLES)
        self._seen: set[tuple[str, int]] = set()
        self._lock = threading.Lock()
        _COUNTERS[self.handle] = self

    @property
    def count(self) -> int:
        """How many records were damaged."""
        return len(self._seen)

    def add(self, corrupt: CorruptRecord) -> None:
        """Count a record, if it is a new one."""
        place = corrupt.path, corrupt.index
        with self._lock:
            if place not in self._seen and len(self.places) < PLACES:
                self.places.append(str(corrupt))
            self._seen.add(place)


STRICT = 0  # the handle of no counter: damage is an error
_HANDLES = itertools.count(1)
# A graph keeps what it calls for ever; of a counter, it only has the handle.
_COUNTERS: weakref.WeakValueDictionary[int, Corrupt] = weakref.WeakValueDictionary()


def report_damage(corrupt: CorruptRecord, handle: int) -> None:
    """Raise what is damaged, or count it where the handle is that of a counter."""
    if handle == STRICT:
        raise corrupt
    if counter := _COUNTERS.get(handle):
        counter.add(corrupt)


def assert_whole(
    whole: tf.Tensor, shard: tf.Tensor, index: tf.Tensor, offset: tf.Tensor
) -> tf.Operation:
    """Raise what `CorruptRecord` would say in the graph, unless a record is whole."""
    index, offset = tf.strings.as_string(index), tf.strings.as_string(offset)
    place = [shard, ": record ", index, " at byte ", offset, ": cannot be read"]
    return tf.debugging.Assert(whole, [tf.strings.join([f"{CorruptRecord.__name__}: ", *place])])


@contextlib.contextmanager
def damage_named(dataset: str | Path) -> Iterator[None]:
    """Turn the errors of damaged and missing shards, while batches are read, into one line.

    Raises:
        UserError: instead of them.
    """
    try:
        yield
    except _ERRORS as error:
        corrupt = _CORRUPT.search(error.message)
        own = (tf.errors.DataLossError, tf.errors.NotFoundError)
        if corrupt is None and not isinstance(error, own):
            raise
        reason = corrupt[1] if corrupt else _SURROUNDINGS.sub("", error.message.splitlines()[0])
        raise UserError(f"{dataset} is damaged ({reason}): see `tfcap verify`") from None
