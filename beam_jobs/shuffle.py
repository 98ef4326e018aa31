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
    pictures = defaultdict(list)
    characters = 0
    # Neighbours of one picture share all but the caption.
    for picture, group in itertools.groupby(rows, lambda row: (row.key, *row[2:])):
        key, split, *_ = picture
        # A line of text takes a fraction of the memory of the rows.
        line = json.dumps(([row.caption for row in group], picture), separators=(",", ":"))
        pictures[shard(key, split)].append(line)
        characters += len(line)
        if characters >= _CHARACTERS:
            yield from _packed(pictures)
            characters = 0
    yield from _packed(pictures)


def unpack_rows(block: bytes) -> Iterator[SourceRow]:
    """Yield the rows of a block, in their order."""
    for line in zlib.decompress(block).split(b"\n"):
        captions, picture = json.loads(line)
        for caption in captions:
            yield SourceRow(picture[0], caption, *picture[1:])


def _packed(pictures: dict[str, list[str]]) -> Iterator[tuple[str, bytes]]:
    # Nothing is kept of what has been handed on.
    while pictures:
        file, lines = pictures.popitem()
        yield file, zlib.compress("\n".join(lines).encode())
