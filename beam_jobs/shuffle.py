"""What travels from the source to the writers of shards: names and captions, packed small.

The shuffle of the local runner lies in memory, in several copies; that of Dataflow is paid for by
the byte.
"""

import itertools
import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator

from records.sources import SourceRow

# Rows that are packed together, over all shards: enough of them to compress well.
_ROWS = 8192


def pack_rows(rows: Iterable[tuple[str, SourceRow]]) -> Iterator[tuple[str, bytes]]:
    """Pack (shard, row) into (shard, a block of some of its rows)."""
    rows = iter(rows)
    while together := list(itertools.islice(rows, _ROWS)):
        by_shard = defaultdict(list)
        for shard, row in together:
            by_shard[shard].append(row)
        for shard, block in by_shard.items():
            yield shard, _pack(block)


def unpack_rows(block: bytes) -> Iterator[SourceRow]:
    """Yield the rows of a block, in their order."""
    for captions, picture in json.loads(zlib.decompress(block)):
        for caption in captions:
            yield SourceRow(picture[0], caption, *picture[1:])


def _pack(rows: Iterable[SourceRow]) -> bytes:
    """Return rows as compressed JSON: neighbours of one picture share all but the caption."""
    pictures = [
        ([row.caption for row in group], picture)
        for picture, group in itertools.groupby(rows, lambda row: (row.key, *row[2:]))
    ]
    return zlib.compress(json.dumps(pictures, separators=(",", ":")).encode())
