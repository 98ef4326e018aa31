"""CSV and TSV with a header, such as Kaggle's `captions.txt`: a caption a row."""

import csv
from collections.abc import Iterable, Iterator

from records.errors import UserError
from records.sources.rows import Columns, SourceRow
from records.sources.text import FORMS, check_key, quote_names

_DELIMITERS = (",", "\t")


def table_rows(lines: Iterator[str], name: str, columns: Columns) -> Iterator[SourceRow]:
    """Read a table; commas or tabs are told by the header, and quotes are those of CSV in both.

    Columns beside the named ones do not count. Blanks around keys and splits do not either, and an
    empty split is none.

    Raises:
        UserError: a column is missing or there twice, or a malformed row, which is named.
    """
    first = next(lines)
    delimiter, header = _read_header(first, columns)
    if len(header) < 2:
        line = first.rstrip("\r\n")
        raise UserError(f"{name}, line 1: {line[:60]!r} begins no known form: {FORMS}")
    for column in columns.names:
        if column not in header:
            raise UserError(
                f"{name}, line 1: no column {column!r}; there are {quote_names(header)}: name the "
                "columns of pictures and captions, or correct the header"
            )
        if header.count(column) > 1:
            raise UserError(
                f"{name}, line 1: {header.count(column)} columns {column!r}: rename all but one"
            )
    image, caption, *split = map(header.index, columns.names)
    for line, row in _read_rows(_reader(lines, delimiter), name):
        if len(row) != len(header):
            raise UserError(
                f"{name}, line {line}: {len(row)} columns instead of {len(header)}: put a "
                "caption that holds commas or tabs in double quotes"
            )
        key = row[image].strip()
        check_key(key, f"{name}, line {line}")
        said = row[split[0]].strip() if split else ""
        yield SourceRow(key, row[caption], said or None, source_id=key, entry=0)


def _reader(lines: Iterable[str], delimiter: str):
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _read_header(line: str, columns: Columns) -> tuple[str, list[str]]:
    """Return the delimiter that finds most of the columns, and the header that it gives."""
    headers = {}
    for delimiter in _DELIMITERS:
        try:
            headers[delimiter] = [cell.strip() for cell in next(_reader([line], delimiter), [])]
        except csv.Error:
            headers[delimiter] = []
    return max(headers.items(), key=lambda item: (len({*columns.names} & {*item[1]}), len(item[1])))


def _read_rows(reader, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows below the header that are not blank, with their first lines."""
    line = 2
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 2
    except csv.Error as error:
        raise UserError(f"{name}, line {line}: {error}: check its double quotes") from None
