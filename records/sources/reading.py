"""Reading a caption source of any form."""

import io
import itertools
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from records.errors import UserError
from records.sources.coco import coco_rows
from records.sources.flickr_token import is_token_line, token_rows
from records.sources.json_nodes import Node, decode_json
from records.sources.jsonl import jsonl_rows
from records.sources.karpathy import karpathy_rows
from records.sources.rows import DEFAULT_COLUMNS, Columns, SourceRow
from records.sources.table import table_rows
from records.sources.text import FORMS, decode_lines, decode_text


class CaptionRow(NamedTuple):
    """One caption as the source has it; `key` is the picture's file name."""

    key: str
    caption: str


def parse_captions(
    content: bytes, name: str, columns: Columns = DEFAULT_COLUMNS
) -> Iterator[CaptionRow]:
    """Read the captions of a source, and nothing else; arguments and errors of `parse_source`."""
    for row in parse_source(content, name, columns):
        if row.caption is not None:
            yield CaptionRow(row.key, row.caption)


def parse_source(
    content: bytes, name: str, columns: Columns = DEFAULT_COLUMNS
) -> Iterator[SourceRow]:
    """Read a caption source from its bytes; else as `read_source`."""
    return read_source(io.BytesIO(content), name, columns)


def read_source(
    file: BinaryIO, name: str, columns: Columns = DEFAULT_COLUMNS
) -> Iterator[SourceRow]:
    """Read a caption source; its form is told by its beginning.

    Files with a caption or a picture a line are read line by line; JSON documents as a whole.

    Args:
        file: open for reading: UTF-8, with or without a byte order mark.
        name: of the file, for messages.
        columns: of CSV and TSV files, fields of JSONL objects; the other forms have none to name.

    Yields:
        its captions, and the pictures without any, in the order of the source; in COCO's form, in
        the order of its pictures. Nothing is compared across rows: a picture may come twice, and
        even in two splits.

    Raises:
        UserError: not UTF-8, of no known form, no caption at all, or anything malformed, whose
            place is named.
    """
    beginning = []
    for line in file:
        beginning.append(line)
        if decode_text(line, name, len(beginning)).strip():
            break
    else:
        raise UserError(f"{name} is empty: {FORMS}")
    has_caption = False
    for row in _rows_of_form(beginning, file, name, columns):
        has_caption = has_caption or row.caption is not None
        yield row
    if not has_caption:
        raise UserError(f"{name} holds no caption: {FORMS}")


def _rows_of_form(
    beginning: list[bytes], file: BinaryIO, name: str, columns: Columns
) -> Iterator[SourceRow]:
    """Read a source of which the lines up to the first that is not blank were read already."""
    lines = decode_lines(itertools.chain(beginning, file), name)
    first = decode_text(b"".join(beginning), name).lstrip("\r\n")
    if is_token_line(first):
        _check_no_columns(columns, name, "a token file")
        return token_rows(lines, name)
    if not first.lstrip().startswith("{"):
        return table_rows(lines, name, columns)
    if _is_picture_object(first, columns):
        return jsonl_rows(lines, name, columns)
    return _document_rows("".join(lines), name, columns)


def _is_picture_object(line: str, columns: Columns) -> bool:
    """Tell whether a line is a whole JSON object, and not a whole document on one line."""
    try:
        value, _ = decode_json(line, "")
    except UserError:
        return False
    return columns.image in value or "images" not in value


def _document_rows(text: str, name: str, columns: Columns) -> Iterator[SourceRow]:
    value, end = decode_json(text, name)
    if columns.image in value or "images" not in value:
        return jsonl_rows(text.split("\n"), name, columns)
    _check_no_columns(columns, name, "one JSON document")
    if rest := text[end:].strip():
        line = text.count("\n", 0, text.index(rest, end)) + 1
        raise UserError(f"{name}, line {line}: text after the end of the JSON: remove it")
    document = Node(value, name)
    return coco_rows(document) if "annotations" in document else karpathy_rows(document)


def _check_no_columns(columns: Columns, name: str, form: str) -> None:
    """Refuse names of columns where there are none: they would be without effect."""
    if columns != DEFAULT_COLUMNS:
        raise UserError(
            f"{name} is {form}, which has no columns {columns.names}: leave the names out"
        )
