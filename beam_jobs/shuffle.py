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

# Rows that are packed together, over all shards: enough of them to compress well.
_ROWS = 8192


def pack_rows(
    rows: Iterable[SourceRow], shard: Callable[[str, str], str]
) -> Iterator[tuple[str, bytes]]:
    """Pack rows into (shard, a block of some of its rows).

    Args:
        rows: of the source, in any order.
        shard: gives the shard of a key and its split.
    """
    rows = iter(rows)
    while together := list(itertools.islice(rows, _ROWS)):
        pictures = defaultdict(list)
        # Neighbours of one picture share all but the caption.
        for picture, group in itertools.groupby(together, lambda row: (row.key, *row[2:])):
            key, split, *_ = picture
            pictures[shard(key, split)].append(([row.caption for row in group], picture))
        for file, block in pictures.items():
            yield file, zlib.compress(json.dumps(block, separators=(",", ":")).encode())


def unpack_rows(block: bytes) -> Iterator[SourceRow]:
    """Yield the rows of a block, in their order."""
    for captions, picture in json.loads(zlib.decompress(block)):
        for caption in captions:
            yield SourceRow(picture[0], caption, *picture[1:])
