"""Pictures small enough to stand in a page."""

import base64
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from records.example import PictureRecord
from records.index import find_record
from records.manifest import Manifest
from records.pictures import PictureRejected, PictureSpec, normalise_picture

SIDE = 200  # pixels of a thumbnail's shorter side


class Thumbnail(NamedTuple):
    """A picture as `<img>` takes it: a data URI and its size in pixels."""

    uri: str
    width: int
    height: int


def find_pictures(
    directory: Path, manifest: Manifest, keys: Iterable[str]
) -> dict[str, PictureRecord]:
    """Read the records of some pictures.

    Args:
        directory: of the dataset.
        manifest: its manifest.
        keys: file names of pictures; what no split has is left out.

    Returns:
        records by key.

    Raises:
        CorruptRecord: a damaged record.
        UserError: a shard or its index is missing, or they do not fit each other.
    """
    records = {}
    for key in dict.fromkeys(keys):
        if found := find_record(directory, manifest, key):
            records[key] = found.record
    return records


def make_thumbnail(encoded: bytes, spec: PictureSpec) -> Thumbnail | None:
    """Shrink a stored picture.

    Args:
        encoded: the JPEG of a record.
        spec: the dataset's picture policy, whose limits hold here too.

    Returns:
        the thumbnail; None where the bytes are no picture that the policy takes.
    """
    try:
        small = normalise_picture(encoded, dataclasses.replace(spec, size=SIDE, min_side=1))
    except PictureRejected:
        return None
    return Thumbnail(data_uri(small.encoded, "image/jpeg"), small.width, small.height)


def data_uri(content: bytes, media_type: str) -> str:
    """Return a URI that is the content itself (RFC 2397)."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
