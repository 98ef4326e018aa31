"""Captions that a model wrote: one row a picture, as a line of JSON or as a `tf.train.Example`."""

import dataclasses
import json
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from records.features import (
    BYTES,
    FLOAT,
    Features,
    bytes_feature,
    encode_features,
    float_feature,
)
from records.tfrecord import CorruptRecord, frame_record, read_records

JSONL, TFRECORD = "jsonl", "tfrecord"
FORMATS = (JSONL, TFRECORD)
_SHARD = re.compile(rf"captions-\d{{5,}}-of-\d{{5,}}\.({'|'.join(FORMATS)})")


@dataclasses.dataclass(frozen=True)
class CaptionRow:
    """A picture and what a model says of it.

    Attributes:
        path: of the picture file.
        sha256: of its bytes, 64 hex digits.
        caption: the caption.
        log_prob: natural logarithm of its probability, a float32.
        embedding: the picture as float32 numbers, where they were asked for.
    """

    path: str
    sha256: str
    caption: str
    log_prob: float
    embedding: tuple[float, ...] | None = None


def encode_line(row: CaptionRow) -> bytes:
    """Return the row as a line of JSON, with its end.

    Numbers have so many digits that the same float32 is read again.
    """
    fields = {
        "path": row.path,
        "sha256": row.sha256,
        "caption": row.caption,
        "log_prob": _digits(row.log_prob),
    }
    if row.embedding is not None:
        fields["embedding"] = [_digits(value) for value in row.embedding]
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def decode_line(line: bytes) -> CaptionRow:
    """Rebuild a row from its line; raises ValueError for any other."""
    try:
        fields = json.loads(line)
        embedding = fields.get("embedding")
        return CaptionRow(
            path=fields["path"],
            sha256=fields["sha256"],
            caption=fields["caption"],
            log_prob=_float32(fields["log_prob"])[0],
            embedding=None if embedding is None else _float32(*embedding),
        )
    except (
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        OverflowError,
        struct.error,
    ) as error:
        raise ValueError(f"no row of captions: {error!r}") from None


def encode_row(row: CaptionRow) -> bytes:
    """Return the row as a serialized `tf.train.Example`; equal rows give equal bytes."""
    features = {
        "image/path": bytes_feature([row.path.encode()]),
        "image/key/sha256": bytes_feature([row.sha256.encode()]),
        "caption/text": bytes_feature([row.caption.encode()]),
        "caption/log_prob": float_feature([row.log_prob]),
    }
    if row.embedding is not None:
        features["image/embedding"] = float_feature(row.embedding)
    return encode_features(features)


def decode_row(payload: bytes) -> CaptionRow:
    """Rebuild a row from its Example; raises ValueError for bytes that are none."""
    features = Features(payload)
    embedding = None
    if "image/embedding" in features:
        embedding = tuple(features.values("image/embedding", FLOAT))
    return CaptionRow(
        path=features.single("image/path", BYTES).decode(),
        sha256=features.single("image/key/sha256", BYTES).decode(),
        caption=features.single("caption/text", BYTES).decode(),
        log_prob=features.single("caption/log_prob", FLOAT),
        embedding=embedding,
    )


def encode_rows(rows: Iterable[CaptionRow], format_: str) -> bytes:
    """Return the content of a file of rows, of one of `FORMATS`."""
    if format_ == JSONL:
        return b"".join(map(encode_line, rows))
    return b"".join(frame_record(encode_row(row)) for row in rows)


def read_rows(path: Path, format_: str) -> Iterator[CaptionRow]:
    """Read a file of rows.

    Raises:
        ValueError: it is damaged.
    """
    if format_ == JSONL:
        with path.open("rb") as file:
            yield from map(decode_line, file)
        return
    try:
        yield from map(decode_row, read_records(path))
    except CorruptRecord as error:
        raise ValueError(str(error)) from None


def shard_name(index: int, count: int, format_: str) -> str:
    """Return the name of a file of rows, "captions-00003-of-00012.jsonl"."""
    return f"captions-{index:05d}-of-{count:05d}.{format_}"


def is_shard_name(name: str) -> bool:
    """Tell whether a file has such a name."""
    return _SHARD.fullmatch(name) is not None


def _float32(*values: float) -> tuple[float, ...]:
    """Return the float32 nearest to each number."""
    layout = f"<{len(values)}f"
    return struct.unpack(layout, struct.pack(layout, *values))


def _digits(value: float) -> float:
    # Nine digits tell any two float32 apart.
    return float(f"{value:.9g}")
