"""What travels from the source to the writers of shards: names and captions, packed small.

The shuffle of the local runner lies in memory, in several copies; that of Dataflow is paid for by
the byte.
"""

import itertools
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from records.sources import SourceRow

# Characters that are packed together, over all shards: enough of them to compress well.
_CHARACTERS = 8 * 2**20


def pack_rows(
    rows: Iterable[SourceRow], shard: Callable[[str, str], str]
) -> Iterator[tuple[str, bytes]]:
    """Pack rows into (shard, a block of some of its rows).

    Args:
        rows: of the source, in any order.
        shard: gives the shard of a key and its split.
    """
    # Neighbours of one picture share all but the caption.
    pictures = itertools.groupby(rows, lambda row: (row.key, *row[2:]))
    return pack_values(
        (shard(picture[0], picture[1]), ([row.caption for row in group], picture))
        for picture, group in pictures
    )


def unpack_rows(block: bytes) -> Iterator[SourceRow]:
    """Yield the rows of a block, in their order."""
    for captions, picture in unpack_values(block):
        for caption in captions:
            yield SourceRow(picture[0], caption, *picture[1:])


def pack_values(values: Iterable[tuple[str, object]]) -> Iterator[tuple[str, bytes]]:
    """Pack (shard, JSON-ready value) into (shard, a block of some of its values)."""
    lines = defaultdict(list)
    characters = 0
    for file, value in values:
        # A line of text takes a fraction of the memory of the value.
        line = json.dumps(value, separators=(",", ":"))
        lines[file].append(line)
        characters += len(line)
        if characters >= _CHARACTERS:
            yield from _packed(lines)
            characters = 0
    yield from _packed(lines)


def unpack_values(block: bytes) -> Iterator:
    """Yield the values of a block, in their order."""
    return map(json.loads, zlib.decompress(block).split(b"\n"))


def _packed(lines: dict[str, list[str]]) -> Iterator[tuple[str, bytes]]:
    # Nothing is kept of what has been handed on.
    while lines:
        file, block = lines.popitem()
        yield file, zlib.compress("\n".join(block).encode())
