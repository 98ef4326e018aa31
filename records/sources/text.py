"""What the forms share: decoding, checks of picture names, and words for messages."""

from collections.abc import Iterable

from records.errors import UserError

FORMS = (
    'give CSV or TSV with a header such as "image,caption" (Kaggle\'s captions.txt), '
    "Flickr8k.token.txt (name.jpg#0<TAB>caption), Karpathy's dataset JSON, COCO's captions JSON, "
    "or JSONL"
)


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
