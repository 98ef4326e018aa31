"""Picture files on their way into a model, for the commands that take them."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from records.pictures import PictureRejected, PictureSpec, normalise_picture


def ready_pictures(
    files: Iterable[tuple[str, Path]], spec: PictureSpec
) -> Iterator[tuple[str, bytes]]:
    """Read picture files and make them ready as the Beam job does: checked, upright, RGB.

    A picture that cannot be taken is named on standard error and left out.

    Args:
        files: (key, path).
        spec: the model's picture policy.

    Yields:
        (key, JPEG bytes).
    """
    for key, path in files:
        try:
            yield key, normalise_picture(path.read_bytes(), spec).encoded
        except OSError as error:
            print(f"{path}: left out: {error.strerror}", file=sys.stderr)
        except PictureRejected as error:
            print(f"{path}: left out: {error.reason.value}: {error.detail}", file=sys.stderr)
