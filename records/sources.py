"""Caption files: Kaggle's `captions.txt` and the original `Flickr8k.token.txt`."""

import csv
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

from records.errors import UserError

_KAGGLE_HEADER = ["image", "caption"]
_TOKEN_LINE = re.compile(r"(?P<key>[^\t]+)#\d+\t(?P<caption>.*)")
_REMEDY = (
    'give Kaggle\'s captions.txt (csv, header "image,caption") or Flickr8k.token.txt '
    "(name.jpg#0<TAB>caption)"
)


class CaptionRow(NamedTuple):
    """One caption as the source has it; `key` is the picture's file name."""

    key: str
    caption: str


def parse_captions(content: bytes, name: str) -> Iterator[CaptionRow]:
    """Read a caption file of either form, told apart by its first line.

    Args:
        content: of the file, UTF-8, with or without a byte order mark.
        name: of the file, for messages.

    Yields:
        its captions in their order; a caption may be empty.

    Raises:
        UserError: not UTF-8, no caption at all, or a malformed line, which is named.
    """
    text = decode_text(content, name)
    first = text.partition("\n")[0].rstrip("\r")
    if first.replace('"', "").strip().split(",") == _KAGGLE_HEADER:
        rows = _kaggle_rows(text, name)
    elif _TOKEN_LINE.fullmatch(first):
        rows = _token_rows(text, name)
    elif not text.strip():
        raise UserError(f"{name} is empty: {_REMEDY}")
    else:
        raise UserError(f"{name}, line 1: {first[:60]!r} begins no known form: {_REMEDY}")
    number = 0
    for number, key, caption in rows:
        check_key(key, name, number)
        yield CaptionRow(key, caption)
    if not number:
        raise UserError(f"{name} holds a header and no caption: {_REMEDY}")


def decode_text(content: bytes, name: str) -> str:
    """Decode a text file of the source; a byte order mark is dropped.

    Raises:
        UserError: not UTF-8; the line is named.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{name}, line {line}: not UTF-8 (byte 0x{content[error.start]:02x}): "
            "save the file as UTF-8"
        ) from None


def check_key(key: str, name: str, line: int) -> None:
    """Refuse a picture name that could reach outside the picture directory.

    Raises:
        UserError: anything but a plain, printable file name.
    """
    if key in ("", ".", "..") or "/" in key or "\\" in key or not key.isprintable():
        raise UserError(
            f"{name}, line {line}: picture name {key[:60]!r} must be a plain file name, "
            "without a directory"
        )


def _kaggle_rows(text: str, name: str) -> Iterator[tuple[int, str, str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    next(reader)
    line = 2
    try:
        for row in reader:
            if row and len(row) != len(_KAGGLE_HEADER):
                raise UserError(
                    f"{name}, line {line}: {len(row)} columns instead of image,caption: "
                    "put a caption that holds commas in double quotes"
                )
            if row:
                yield line, row[0].strip(), row[1]
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{name}, line {line}: {error}: check its double quotes") from None


def _token_rows(text: str, name: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip("\r")
        if not line.strip():
            continue
        match = _TOKEN_LINE.fullmatch(line)
        if match is None:
            raise UserError(
                f"{name}, line {number}: {line[:60]!r} is not name.jpg#0<TAB>caption: correct it"
            )
        yield number, match["key"], match["caption"]
