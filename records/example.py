"""Picture records: one `tf.train.Example` per picture, encoded by hand, always to the same bytes.

protobuf's own serialization of a map differs from process to process; here features are sorted by
name. Messages and field numbers: TensorFlow's `tensorflow/core/example/{example,feature}.proto`;
wire format: https://protobuf.dev/programming-guides/encoding/.

    Example  { Features features = 1; }
    Features { map<string, Feature> feature = 1; }
    Feature  { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; }
"""

import dataclasses
from collections.abc import Iterator, Sequence

_VARINT, _I64, _LENGTH_DELIMITED, _I32 = 0, 1, 2, 5
_FIXED_SIZE = {_I64: 8, _I32: 4}
_BYTES_LIST, _INT64_LIST = 1, 3
_FORMAT = b"jpeg"
_ONE_BYTE = tuple(bytes([value]) for value in range(0x80))  # most varints are that short


@dataclasses.dataclass(frozen=True)
class PictureRecord:
    """A picture with all its captions.

    Attributes:
        encoded: the JPEG: upright, RGB.
        height: of the JPEG, in pixels.
        width: of the JPEG, in pixels.
        filename: of the source picture.
        source_id: what the source data set calls the picture.
        sha256: of the source picture's bytes, 64 hex digits.
        raw_captions: the captions as their authors wrote them.
        captions: the same, cleaned, in the same order.
    """

    encoded: bytes
    height: int
    width: int
    filename: str
    source_id: str
    sha256: str
    raw_captions: tuple[str, ...]
    captions: tuple[str, ...]

    def __post_init__(self):
        if len(self.raw_captions) != len(self.captions):
            raise ValueError(
                f"{self.filename}: {len(self.raw_captions)} raw captions, "
                f"{len(self.captions)} cleaned"
            )


def encode_example(record: PictureRecord) -> bytes:
    """Return the record as a serialized `tf.train.Example`; equal records give equal bytes."""
    features = {
        "image/encoded": _bytes_feature([record.encoded]),
        "image/format": _bytes_feature([_FORMAT]),
        "image/height": _int64_feature([record.height]),
        "image/width": _int64_feature([record.width]),
        "image/filename": _bytes_feature([record.filename.encode()]),
        "image/source_id": _bytes_feature([record.source_id.encode()]),
        "image/key/sha256": _bytes_feature([record.sha256.encode()]),
        "caption/raw": _bytes_feature([caption.encode() for caption in record.raw_captions]),
        "caption/text": _bytes_feature([caption.encode() for caption in record.captions]),
    }
    entries = (
        _message(1, _message(1, name.encode()) + _message(2, feature))
        for name, feature in sorted(features.items())
    )
    return _message(1, b"".join(entries))


def decode_example(payload: bytes) -> PictureRecord:
    """Rebuild the record from a serialized `tf.train.Example`, by whatever library it was written.

    Raises:
        ValueError: bytes that are no such message, a feature that is absent or has another type.
    """
    features = dict(
        _map_entry(entry) for features in _messages(payload, 1) for entry in _messages(features, 1)
    )

    def values(name: str, kind: int) -> list:
        if name not in features:
            raise ValueError(f"feature {name!r} is absent")
        return _feature_values(features[name], kind)

    def single(name: str, kind: int):
        found = values(name, kind)
        if len(found) != 1:
            raise ValueError(f"feature {name!r} has {len(found)} values, not 1")
        return found[0]

    if single("image/format", _BYTES_LIST) != _FORMAT:
        raise ValueError("feature 'image/format' is not 'jpeg'")
    return PictureRecord(
        encoded=single("image/encoded", _BYTES_LIST),
        height=single("image/height", _INT64_LIST),
        width=single("image/width", _INT64_LIST),
        filename=single("image/filename", _BYTES_LIST).decode(),
        source_id=single("image/source_id", _BYTES_LIST).decode(),
        sha256=single("image/key/sha256", _BYTES_LIST).decode(),
        raw_captions=tuple(text.decode() for text in values("caption/raw", _BYTES_LIST)),
        captions=tuple(text.decode() for text in values("caption/text", _BYTES_LIST)),
    )


def _bytes_feature(values: Sequence[bytes]) -> bytes:
    return _message(_BYTES_LIST, b"".join(_message(1, value) for value in values))


def _int64_feature(values: Sequence[int]) -> bytes:
    # proto3 packs repeated numbers; a negative int64 is written as its two's complement.
    packed = b"".join(_varint(value & 0xFFFFFFFFFFFFFFFF) for value in values)
    return _message(_INT64_LIST, _message(1, packed))


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _LENGTH_DELIMITED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    if value < len(_ONE_BYTE):
        return _ONE_BYTE[value]
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def _map_entry(entry: bytes) -> tuple[str, bytes]:
    # Absent fields of a map entry stand for the empty key and the empty message.
    name = b"".join(_messages(entry, 1)[-1:])
    return name.decode(), b"".join(_messages(entry, 2)[-1:])


def _feature_values(feature: bytes, kind: int) -> list:
    lists = b"".join(_messages(feature, kind))
    if kind == _BYTES_LIST:
        return _messages(lists, 1)
    values = []
    for field, value in _fields(lists):
        if field == 1 and isinstance(value, int):
            values.append(_signed(value))
        elif field == 1:
            values.extend(map(_signed, _varints(value)))
    return values


def _messages(content: bytes, field: int) -> list[bytes]:
    found = [value for number, value in _fields(content) if number == field]
    if not all(isinstance(value, bytes) for value in found):
        raise ValueError(f"field {field} is not length-delimited")
    return found


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Read the fields of a message: numbers of varints, bytes of everything else."""
    at = 0
    while at < len(content):
        tag, at = _read_varint(content, at)
        wire_type = tag & 7
        if wire_type == _VARINT:
            value, at = _read_varint(content, at)
            yield tag >> 3, value
            continue
        if wire_type == _LENGTH_DELIMITED:
            size, at = _read_varint(content, at)
        elif wire_type in _FIXED_SIZE:
            size = _FIXED_SIZE[wire_type]
        else:
            raise ValueError(f"unknown wire type {wire_type} at byte {at}")
        if at + size > len(content):
            raise ValueError(f"message cut short at byte {at}")
        yield tag >> 3, content[at : at + size]
        at += size


def _varints(packed: bytes) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _read_varint(packed, at)
        yield value


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise ValueError(f"message cut short at byte {at}")
        group = content[at]
        value |= (group & 0x7F) << shift
        at += 1
        if group < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise ValueError(f"varint longer than 10 bytes at byte {at}")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
