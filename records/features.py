"""`tf.train.Example` messages, encoded by hand, always to the same bytes.

protobuf's own serialization of a map differs from process to process; here features are sorted by
name. Messages and field numbers: TensorFlow's `tensorflow/core/example/{example,feature}.proto`;
wire format: https://protobuf.dev/programming-guides/encoding/.

    Example  { Features features = 1; }
    Features { map<string, Feature> feature = 1; }
    Feature  { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; }
"""

import struct
from collections.abc import Iterator, Mapping, Sequence

# Which list a feature holds: the numbers of its fields.
BYTES, FLOAT, INT64 = 1, 2, 3
_VARINT, _I64, _LENGTH_DELIMITED, _I32 = 0, 1, 2, 5
_FIXED_SIZE = {_I64: 8, _I32: 4}
_ONE_BYTE = tuple(bytes([value]) for value in range(0x80))  # most varints are that short


def encode_features(features: Mapping[str, bytes]) -> bytes:
    """Return a serialized Example of features by name; equal features give equal bytes."""
    entries = (
        _message(1, _message(1, name.encode()) + _message(2, feature))
        for name, feature in sorted(features.items())
    )
    return _message(1, b"".join(entries))


class Features:
    """The features of a serialized Example, by whatever library it was written."""

    def __init__(self, payload: bytes):
        """Read them; raises ValueError for bytes that are no such message."""
        self._features = dict(
            _map_entry(entry)
            for features in _messages(payload, 1)
            for entry in _messages(features, 1)
        )

    def __contains__(self, name: str) -> bool:
        return name in self._features

    def values(self, name: str, kind: int) -> list:
        """Return the values of a feature: bytes, floats or whole numbers.

        Raises:
            ValueError: the feature is absent or has another type.
        """
        if name not in self._features:
            raise ValueError(f"feature {name!r} is absent")
        return _feature_values(self._features[name], kind)

    def single(self, name: str, kind: int):
        """Return the one value of a feature; raises ValueError as `values`, or for any others."""
        found = self.values(name, kind)
        if len(found) != 1:
            raise ValueError(f"feature {name!r} has {len(found)} values, not 1")
        return found[0]


def bytes_feature(values: Sequence[bytes]) -> bytes:
    """Return a feature of byte strings."""
    return _message(BYTES, b"".join(_message(1, value) for value in values))


def int64_feature(values: Sequence[int]) -> bytes:
    """Return a feature of whole numbers."""
    # proto3 packs repeated numbers; a negative int64 is written as its two's complement.
    packed = b"".join(_varint(value & 0xFFFFFFFFFFFFFFFF) for value in values)
    return _message(INT64, _message(1, packed))


def float_feature(values: Sequence[float]) -> bytes:
    """Return a feature of float32 numbers."""
    return _message(FLOAT, _message(1, struct.pack(f"<{len(values)}f", *values)))


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
    if kind == BYTES:
        return _messages(lists, 1)
    if kind == FLOAT:
        # Packed or one by one, their bytes are the same.
        packed = b"".join(_messages(lists, 1))
        if len(packed) % 4:
            raise ValueError(f"{len(packed)} bytes are no float32 numbers")
        return list(struct.unpack(f"<{len(packed) // 4}f", packed))
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
