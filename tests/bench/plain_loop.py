"""The yardstick of the records job: the same pictures through Pillow, one after the other.

Example:
  python tests/bench/plain_loop.py IMAGES OUTPUT 0 1

The last two numbers say which pictures: those at 0, 1, ... modulo the second number.
"""

import io
import sys
from pathlib import Path

from PIL import Image, ImageOps

SIZE, QUALITY = 224, 90


def normalise(path: Path) -> bytes:
    """Return a picture as an upright RGB JPEG whose shorter side is `SIZE`."""
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    scale = SIZE / min(upright.size)
    size = (round(upright.width * scale), round(upright.height * scale))
    buffer = io.BytesIO()
    upright.resize(size, Image.Resampling.BILINEAR).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def main(images: Path, output: Path, index: int, count: int) -> None:
    with output.open("wb") as file:
        for path in sorted(images.iterdir())[index::count]:
            file.write(normalise(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
