"""The COCO results format: ``[{"image_id": ..., "caption": ...}, ...]``."""

import json
from collections.abc import Mapping
from pathlib import Path

from records.errors import UserError
from records.files import write_whole

REMEDY = 'expected a list of {"image_id": ..., "caption": "..."}'


def write_predictions(path: str | Path, predictions: Mapping[str | int, str]) -> None:
    """Write one caption a picture, sorted by id, under a temporary name first and then renamed.

    Args:
        path: the file to create or replace; its directory must exist.
        predictions: captions by id; ids all of one type.

    Raises:
        UserError: the file cannot be written.
    """
    path = Path(path)
    entries = [{"image_id": key, "caption": predictions[key]} for key in sorted(predictions)]
    try:
        write_whole(path, json.dumps(entries, indent=1) + "\n")
    except OSError as error:
        raise UserError(
            f"cannot write predictions to {path}: {error.strerror}; name a file in a directory "
            "that exists and is writable"
        ) from error


def read_predictions(path: str | Path) -> dict[str | int, str]:
    """Read captions by id, in the file's order; keys beside the two of the format are ignored.

    Raises:
        UserError: the file cannot be read, is not of the format, or names a picture twice.
    """
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"cannot read predictions from {path}: {error.strerror}; check the path"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"predictions {path} are not JSON ({error}); {REMEDY}") from error
    if not isinstance(entries, list):
        raise UserError(f"predictions {path} hold a {type(entries).__name__}; {REMEDY}")
    predictions = {}
    for position, entry in enumerate(entries):
        if not _is_result(entry):
            raise UserError(f"predictions {path}: entry {position} is {entry!r:.80}; {REMEDY}")
        if entry["image_id"] in predictions:
            raise UserError(
                f"predictions {path} name picture {entry['image_id']!r} twice; keep one caption"
            )
        predictions[entry["image_id"]] = entry["caption"]
    return predictions


def _is_result(entry) -> bool:
    """Whether a JSON value is one result. A bool is an int to Python, but no id."""
    return (
        isinstance(entry, dict)
        and type(entry.get("image_id")) in (str, int)
        and isinstance(entry.get("caption"), str)
    )
