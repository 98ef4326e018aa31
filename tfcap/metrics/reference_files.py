"""References from a file: of any form that records are built from, or a plain JSON object."""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from records.errors import UserError
from records.sources import parse_source


@dataclasses.dataclass(frozen=True)
class ReferenceFile:
    """The references that a file holds.

    Attributes:
        captions: raw captions by picture.
        keys: the picture by what else the file calls it: COCO's image id, as text.
    """

    captions: Mapping[str, Sequence[str]]
    keys: Mapping[str, str]

    def named_alike(self, predictions: Mapping[str | int, str]) -> dict[str, str]:
        """Return predictions by the names that pictures have in `captions`.

        A picture that the file does not know keeps its name.

        Raises:
            UserError: two predictions are for one picture.
        """
        named = {}
        for identifier, caption in predictions.items():
            key = str(identifier)
            if key not in self.captions:
                key = self.keys.get(key, key)
            if key in named:
                raise UserError(f"two predictions are for picture {key!r}: keep one of them")
            named[key] = caption
        return named


def read_reference_file(path: Path) -> ReferenceFile:
    """Read references.

    Args:
        path: a JSON object of lists of captions by picture, or whatever `records.sources` reads:
            COCO's or Karpathy's JSON, CSV, TSV, JSONL, Flickr8k's token file.

    Raises:
        UserError: the file cannot be read or is of no known form.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read references from {path} ({error.strerror}): check the path"
        ) from None
    if (plain := _plain_object(content)) is not None:
        return ReferenceFile(plain, {})
    captions, keys = defaultdict(list), {}
    for row in parse_source(content, str(path)):
        keys[row.source_id] = row.key
        if row.caption is not None:
            captions[row.key].append(row.caption)
    return ReferenceFile(dict(captions), keys)


def _plain_object(content: bytes) -> dict[str, list[str]] | None:
    """Return the object of lists of captions that a file is, or None if it is anything else."""
    if not content.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):  # JSONL, or what `records.sources` will complain of
        return None
    is_plain = all(
        isinstance(captions, list) and all(isinstance(each, str) for each in captions)
        for captions in value.values()
    )
    return value if is_plain else None
