"""Caption sources: which pictures there are, their captions, and what the source says of splits.

`read_source` tells the form of a file by its content; each form has a module of its own.
"""

from records.sources.reading import CaptionRow, parse_captions, parse_source, read_source
from records.sources.rows import Columns, SourceRow
from records.sources.text import check_key, decode_lines, numbered

__all__ = [
    "CaptionRow",
    "Columns",
    "SourceRow",
    "check_key",
    "decode_lines",
    "numbered",
    "parse_captions",
    "parse_source",
    "read_source",
]
