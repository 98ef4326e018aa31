"""What the forms share: decoding, checks of picture names, and words for messages."""

from collections.abc import Iterable, Iterator

from records.errors import UserError

FORMS = (
    'give CSV or TSV with a header such as "image,caption" (Kaggle\'s captions.txt), '
    "Flickr8k.token.txt (name.jpg#0<TAB>caption), Karpathy's dataset JSON, COCO's captions JSON, "
    "or JSONL"
)


def decode_text(content: bytes, name: str, line: int = 1) -> str:
    """Decode text of the source; a byte order mark at its beginning is dropped.

    Args:
        content: UTF-8.
        name: of the file, for messages.
        line: number of the first line, for messages.

    Raises:
        UserError: not UTF-8; the line is named.
    """
    try:
        return content.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line += content.count(b"\n", 0, error.start)
        raise UserError(
            f"{name}, line {line}: not UTF-8 (byte 0x{error.object[error.start]:02x}): "
            "save the file as UTF-8"
        ) from None


def decode_lines(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Decode lines one by one, so that a large file is never in memory as a whole."""
    return (decode_text(line, name, number) for number, line in enumerate(lines, start=1))


def numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line without its end) of the lines that are not blank."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, line.rstrip("\r\n")


def check_key(key: str, place: str) -> None:
    """Refuse a picture name that could reach outside the picture directory.

    Args:
        key: the name.
        place: where it stands, for the message: "captions.txt, line 3".

    Raises:
        UserError: anything but a plain, printable file name.
    """
    if key in ("", ".", "..") or "/" in key or "\\" in key or not key.isprintable():
        raise UserError(
            f"{place}: picture name {key[:60]!r} must be a plain file name, without a directory"
        )


def quote_names(names: Iterable[str]) -> str:
    """Return names for a message, cut short where they are many or long."""
    names = list(names)
    quoted = ", ".join(repr(name[:30]) for name in names[:10])
    return f"{quoted} and {len(names) - 10} more" if len(names) > 10 else quoted or "none"
