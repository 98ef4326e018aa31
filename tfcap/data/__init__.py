"""The input pipeline: shards of records to batches of features and captions.

shards -> shuffled bytes -> parsed, decoded, squashed -> batch -> encoded -> prefetched
"""

from tfcap.data.batches import caption_batches, encoded
from tfcap.data.damage import Corrupt, damage_named
from tfcap.data.order import Order
from tfcap.data.passes import Passes
from tfcap.data.reading import read_records

__all__ = [
    "Corrupt",
    "Order",
    "Passes",
    "caption_batches",
    "damage_named",
    "encoded",
    "read_records",
]
