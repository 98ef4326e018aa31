"""The original `Flickr8k.token.txt`: `name.jpg#0<TAB>caption`, a caption a line."""

import re
from collections.abc import Iterable, Iterator

from records.errors import UserError
from records.sources.rows import SourceRow
from records.sources.text import check_key, numbered

_LINE = re.compile(r"(?P<key>[^\t]+)#\d+\t(?P<caption>.*)")


def is_token_line(line: str) -> bool:
    """Tell whether a first line is one of this form; valid JSON never begins with such a line."""
    return _LINE.fullmatch(line.rstrip("\r\n")) is not None


def token_rows(lines: Iterable[str], name: str) -> Iterator[SourceRow]:
    """Read a token file; raises UserError for a malformed line, which is named."""
    for number, line in numbered(lines):
        match = _LINE.fullmatch(line)
        if match is None:
            raise UserError(
                f"{name}, line {number}: {line[:60]!r} is not name.jpg#0<TAB>caption: correct it"
            )
        key = match["key"]
        check_key(key, f"{name}, line {number}")
        yield SourceRow(key, match["caption"], split=None, source_id=key, entry=0)
