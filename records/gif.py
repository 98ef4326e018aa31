"""How a GIF file begins, read from its blocks alone: nothing is decoded."""

_EXTENSION, _IMAGE, _TRAILER, _COMMENT = b"!", b",", b";", 0xFE


def comment_bytes(source: bytes) -> int:
    """Return the bytes of all comments before the first picture of a GIF file.

    Stray bytes between blocks are stepped over, as Pillow's parser does. GIF89a, section 24: a
    comment is a chain of sub-blocks of up to 255 bytes, each behind its length, up to a zero.
    """
    total, at = 0, 13
    if len(source) > 10 and source[10] & 0x80:
        # A table of 3 bytes for each of 2 to 256 colours.
        at += 3 * (2 << (source[10] & 7))
    while at < len(source):
        block = source[at : at + 1]
        if block in (_IMAGE, _TRAILER):
            break
        at += 1
        if block == _EXTENSION:
            is_comment = source[at : at + 1] == bytes([_COMMENT])
            at += 1
            while length := int.from_bytes(source[at : at + 1], "big"):
                total += length * is_comment
                at += 1 + length
            at += 1
    return total
