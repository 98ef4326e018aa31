"""JSONL: an object a line, with one caption of a picture or with the list of them."""

from collections.abc import Iterable, Iterator

from records.errors import UserError
from records.sources.json_nodes import Node, decode_json
from records.sources.rows import Columns, SourceRow
from records.sources.text import check_key, numbered, quote_names

_LIST = "captions"
_REMEDY = "name the fields of pictures, captions and splits, or correct the line"


def jsonl_rows(lines: Iterable[str], name: str, columns: Columns) -> Iterator[SourceRow]:
    """Read objects with a picture and either a caption or a list of `captions`.

    The field `columns.caption` may hold the list as well. `id` may be absent; where
    `columns.split` names a field, it may be null for a picture in no split.

    Raises:
        UserError: a line is no JSON object, or a field is missing or has the wrong type; the line
            is named.
    """
    entry = 0
    for number, line in numbered(lines):
        picture = _decode_line(line, name, number)
        captions = _captions_field(picture, columns)
        if isinstance(captions.value, list):
            entry += 1
            texts = [caption.text() for caption in captions.items()] or [None]
            yield from _rows(picture, texts, columns, entry)
        else:
            yield from _rows(picture, [captions.text()], columns, entry=0)


def _decode_line(line: str, name: str, number: int) -> Node:
    value, end = decode_json(line, name, number)
    place = f"{name}, line {number}"
    if not isinstance(value, dict) or line[end:].strip():
        raise UserError(f"{place}: {line[:60]!r} is not one JSON object: write one object a line")
    return Node(value, place)


def _captions_field(picture: Node, columns: Columns) -> Node:
    fields = {columns.caption, _LIST}
    present = [field for field in sorted(fields) if field in picture]
    if len(present) > 1:
        raise UserError(f"{picture.place} has both {quote_names(present)}: leave one out")
    return picture.field(present[0] if present else columns.caption, _REMEDY)


def _rows(
    picture: Node, captions: list[str | None], columns: Columns, entry: int
) -> Iterator[SourceRow]:
    image = picture.field(columns.image, _REMEDY)
    key = image.text()
    check_key(key, image.place)
    source_id = picture.field("id").identifier() if "id" in picture else key
    split = picture.field(columns.split, _REMEDY) if columns.split else None
    said = split.text() if split and split.value is not None else None
    for caption in captions:
        yield SourceRow(key, caption, said or None, source_id, entry)
