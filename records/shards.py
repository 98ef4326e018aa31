"""Shards: their names, and which of them a record belongs to."""

import dataclasses
import hashlib
import re

_TEMPLATE = "{dataset}-{split}.{kind}-{index:05d}-of-{count:05d}"
_RECORDS, _INDEX = "tfrecord", "index"
_PATTERN = re.compile(
    r"(?P<dataset>[a-z][a-z0-9_]*)-(?P<split>[a-z][a-z0-9_]*)"
    r"\.(tfrecord|index)-(?P<index>\d{5,})-of-(?P<count>\d{5,})"
)
_WORD = re.compile(r"[a-z][a-z0-9_]*")


@dataclasses.dataclass(frozen=True)
class ShardName:
    """`flickr8k-train.tfrecord-00000-of-00012`, as TensorFlow Datasets names its files.

    Attributes:
        dataset: lower-case letters, digits and underscores, a letter first.
        split: the same.
        index: from 0, below `count`.
        count: shards of the split.
    """

    dataset: str
    split: str
    index: int
    count: int

    def __post_init__(self):
        for word in (self.dataset, self.split):
            if not is_plain_word(word):
                raise ValueError(
                    f"{word!r} must be lower-case letters, digits and underscores, a letter first"
                )
        if not 0 <= self.index < self.count:
            raise ValueError(f"shard index {self.index} is not in 0..{self.count - 1}")

    def __str__(self):
        return self._file(_RECORDS)

    @property
    def index_file(self) -> str:
        """The name of the shard's offset index, which no pattern for shards matches."""
        return self._file(_INDEX)

    @classmethod
    def parse(cls, name: str) -> "ShardName":
        """Return the shard that a file name stands for; `str` of it gives the name back.

        Raises:
            ValueError: for any other file name.
        """
        shard = cls.of_file(name)
        if str(shard) != name:
            raise ValueError(f"{name!r} is not written as {shard}")
        return shard

    @classmethod
    def of_file(cls, name: str) -> "ShardName":
        """Return the shard that a file belongs to: its records or its offset index.

        Raises:
            ValueError: for any other file name.
        """
        match = _PATTERN.fullmatch(name)
        if match is None:
            raise ValueError(f"{name!r} is not a shard name like {cls('name', 'split', 0, 8)}")
        shard = cls(match["dataset"], match["split"], int(match["index"]), int(match["count"]))
        if name not in (str(shard), shard.index_file):
            raise ValueError(f"{name!r} is not written as {shard}")
        return shard

    def _file(self, kind: str) -> str:
        return _TEMPLATE.format(
            dataset=self.dataset, kind=kind, split=self.split, index=self.index, count=self.count
        )


def is_plain_word(word: str) -> bool:
    """Tell whether a word can be the dataset or the split of a shard name."""
    return _WORD.fullmatch(word) is not None


def shard_of(key: str, count: int) -> int:
    """Return which of `count` shards a key belongs to: SHA-256 of the key, modulo `count`."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % count
