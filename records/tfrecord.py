"""TFRecord framing: what `tf.io.TFRecordWriter` writes, byte for byte, without TensorFlow.

A frame is the payload's length (uint64), the masked CRC-32C of those 8 bytes (uint32), the payload,
and the masked CRC-32C of the payload (uint32); integers are little-endian. Source: TensorFlow's
`tensorflow/core/lib/io/record_writer.h` and `core/lib/hash/crc32c.h` (the mask).
"""

import dataclasses
import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import google_crc32c

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")


class CorruptRecord(Exception):
    """A frame that is cut short or whose checksum does not match.

    Attributes:
        path: the file.
        index: of the record in the file, from 0.
        offset: of the record's first byte in the file.
        reason: what is wrong, in words.
    """

    def __init__(self, path: str, index: int, offset: int, reason: str):
        super().__init__(path, index, offset, reason)
        self.path, self.index, self.offset, self.reason = path, index, offset, reason

    def __str__(self):
        return f"{self.path}: record {self.index} at byte {self.offset}: {self.reason}"


class Frame(NamedTuple):
    """One whole record: its place in the file and its payload."""

    index: int
    offset: int
    payload: bytes

    @property
    def end(self) -> int:
        """The offset of the byte after it."""
        return self.offset + _HEADER.size + len(self.payload) + _FOOTER.size


@dataclasses.dataclass(frozen=True)
class Written:
    """What `write_records` wrote.

    Attributes:
        records: number of records.
        bytes: size of the file.
        sha256: of the file's bytes, 64 hex digits.
        offsets: of each record's first byte, then the size of the file.
    """

    records: int
    bytes: int
    sha256: str
    offsets: tuple[int, ...]


def masked_crc32c(data: bytes) -> int:
    """Return the CRC-32C of data, rotated right by 15 bits, plus 0xa282ead8, modulo 2**32."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def frame_record(payload: bytes) -> bytes:
    """Return the frame of one payload."""
    length = struct.pack("<Q", len(payload))
    return b"".join(
        (
            length,
            _FOOTER.pack(masked_crc32c(length)),
            payload,
            _FOOTER.pack(masked_crc32c(payload)),
        )
    )


def write_records(file: BinaryIO, payloads: Iterable[bytes]) -> Written:
    """Write payloads as TFRecord frames, one at a time.

    Args:
        file: open for writing, at its beginning.
        payloads: consumed lazily; no more than one is held.
    """
    offsets, digest = [0], hashlib.sha256()
    for payload in payloads:
        frame = frame_record(payload)
        file.write(frame)
        digest.update(frame)
        offsets.append(offsets[-1] + len(frame))
    return Written(len(offsets) - 1, offsets[-1], digest.hexdigest(), tuple(offsets))


def raise_corrupt(corrupt: CorruptRecord) -> None:
    """The policy of `scan_frames` that stops at the first damage."""
    raise corrupt


def scan_frames(
    path: Path, on_corrupt: Callable[[CorruptRecord], None] = raise_corrupt
) -> Iterator[Frame]:
    """Read the frames of a TFRecord file, checking both checksums.

    Args:
        path: the file.
        on_corrupt: called with each damage. Where it returns, a record with a broken payload is
            stepped over, since its length is intact; after a broken length the scan ends.

    Yields:
        the whole frames, in order; `index` and `offset` count the broken ones in.

    Raises:
        CorruptRecord: by the default policy.
    """
    with path.open("rb") as file:
        yield from scan_file(file, str(path), on_corrupt)


def scan_file(
    file: BinaryIO, name: str, on_corrupt: Callable[[CorruptRecord], None] = raise_corrupt
) -> Iterator[Frame]:
    """Read the frames of an open TFRecord file, as `scan_frames` does.

    Args:
        file: open for reading, at its beginning.
        name: of the file, for messages.
        on_corrupt: as for `scan_frames`.
    """
    index = offset = 0
    while header := file.read(_HEADER.size):
        try:
            payload, size = _read_payload(file, header)
        except ValueError as error:
            on_corrupt(CorruptRecord(name, index, offset, str(error)))
            return
        if payload is None:
            on_corrupt(CorruptRecord(name, index, offset, "payload checksum differs"))
        else:
            yield Frame(index, offset, payload)
        index, offset = index + 1, offset + size


def read_records(path: Path) -> Iterator[bytes]:
    """Read the payloads of a TFRecord file.

    Raises:
        CorruptRecord: at the first damage.
    """
    return (frame.payload for frame in scan_frames(path))


def _read_payload(file: BinaryIO, header: bytes) -> tuple[bytes | None, int]:
    """Return (payload or None where its checksum differs, bytes of the frame)."""
    if len(header) < _HEADER.size:
        raise ValueError("cut short in the header")
    length, length_crc = _HEADER.unpack(header)
    if masked_crc32c(header[:8]) != length_crc:
        raise ValueError("length checksum differs")
    payload, footer = file.read(length), file.read(_FOOTER.size)
    if len(footer) < _FOOTER.size:
        raise ValueError(f"cut short: {length} bytes announced, {len(payload)} found")
    intact = _FOOTER.unpack(footer)[0] == masked_crc32c(payload)
    return payload if intact else None, _HEADER.size + length + _FOOTER.size
