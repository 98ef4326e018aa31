"""How a JPEG file is laid out, read from its markers alone: nothing is decoded."""

import re
from typing import NamedTuple

BASELINE = 0xC0

# ITU-T T.81, table B.1: the markers that a segment with a length follows, and EOI. All others are
# fill bytes, escaped data bytes, restart markers, or stop every decoder.
_MARKER = re.compile(rb"\xff([\xc0-\xc7\xc9-\xcf\xd9-\xef\xfe])", re.DOTALL)
_DHT, _DAC, _EOI, _SOS, _APP1 = 0xC4, 0xCC, 0xD9, 0xDA, 0xE1
_EXIF = b"Exif\0\0"


class JpegLayout(NamedTuple):
    """What the markers of a JPEG tell.

    Attributes:
        frame: the start-of-frame marker, which says how the scans are coded; None without one.
        scans: the number of scans; a progressive picture has several.
        exif_bytes: of all EXIF segments together.
        end: offset of the first byte behind the picture; None where its end marker is missing.
    """

    frame: int | None
    scans: int
    exif_bytes: int
    end: int | None


def read_layout(source: bytes) -> JpegLayout:
    """Return the layout of a JPEG file.

    Stray bytes between segments are stepped over, as Pillow's parser and libjpeg do: a layout that
    saw less than they do could be cheated.
    """
    frame, scans, exif_bytes, at = None, 0, 0, 2
    while match := _MARKER.search(source, at):
        marker, at = match[1][0], match.end()
        if marker == _EOI:
            if scans:
                return JpegLayout(frame, scans, exif_bytes, at)
            continue
        # The length counts its own two bytes.
        length = max(2, int.from_bytes(source[at : at + 2], "big"))
        if marker == _SOS:
            scans += 1
        elif marker == _APP1 and source.startswith(_EXIF, at + 2):
            exif_bytes += length - 2
        elif marker < _EOI and marker not in (_DHT, _DAC) and frame is None:
            frame = marker
        at += length
    return JpegLayout(frame, scans, exif_bytes, None)
