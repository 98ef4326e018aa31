"""The picture policy: which pictures are taken, and what of them a record stores."""

import dataclasses
import enum
import io
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from records.specs import Spec

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
# libjpeg's JPEG_MAX_DIMENSION: no JPEG can be longer.
MAX_SIDE = 65_500

_ORIENTATION_TAG = 0x0112
# EXIF 2.32, tag Orientation: what turns each stored orientation upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SCAN, _BASELINE, _PROGRESSIVE = 0xDA, 0xC0, 0xC2


@dataclasses.dataclass(frozen=True)
class PictureSpec(Spec):
    """How pictures are stored and what an encoder sees; shared by Beam, tf.data and the export.

    Attributes:
        size: pixels of the shorter side of a stored picture (smaller ones are not enlarged), and of
            both sides of the square that an encoder sees: stored pictures are squashed to it.
        quality: of the JPEGs, 1 to 95 on libjpeg's scale.
        max_pixels: a picture of more pixels is refused before it is decoded.
        version: raised whenever `normalise_picture` would store other bytes.
    """

    size: int = 224
    quality: int = 90
    max_pixels: int = 50_000_000
    version: int = 1

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"{field.name} must be a whole number, got {value!r}")
        if not 32 <= self.size <= 4096:
            raise ValueError(f"size must be in 32..4096, got {self.size}")
        if not 1 <= self.quality <= 95:
            raise ValueError(f"quality must be in 1..95, got {self.quality}")
        # Above twice its MAX_IMAGE_PIXELS, 89,478,485, Pillow refuses by itself.
        if not 1 <= self.max_pixels <= 178_956_970:
            raise ValueError(f"max_pixels must be in 1..178956970, got {self.max_pixels}")
        if self.version < 1:
            raise ValueError(f"version must be at least 1, got {self.version}")


class Rejection(str, enum.Enum):
    """Why a picture is refused; the values are the reasons in the dead letters."""

    UNDECODABLE = "undecodable"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    UNSUPPORTED_FORMAT = "unsupported_format"


class PictureRejected(Exception):
    """A picture that cannot be stored.

    Attributes:
        reason: the class of the reason.
        detail: the rest of it, in words.
    """

    def __init__(self, reason: Rejection, detail: str):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class NormalisedPicture(NamedTuple):
    """A picture as it is stored: JPEG bytes and their size in pixels."""

    encoded: bytes
    height: int
    width: int


def normalise_picture(source: bytes, spec: PictureSpec) -> NormalisedPicture:
    """Return the picture as an upright RGB JPEG whose shorter side is at most `spec.size`.

    A JPEG that conforms already is stored as it is. Anything else is decoded, turned upright by its
    EXIF orientation, flattened on white, made RGB (of an animation the first frame), scaled down
    with an antialiased triangle filter and encoded.

    Args:
        source: the bytes of a picture file.
        spec: the picture policy.

    Raises:
        PictureRejected: it does not decode fully, is too large, or of another format.
    """
    picture = _open(source)
    pixels = picture.width * picture.height
    if pixels > spec.max_pixels:
        raise PictureRejected(
            Rejection.TOO_LARGE,
            f"{picture.width}x{picture.height} is {pixels} pixels, more than {spec.max_pixels}",
        )
    orientation = _orientation(picture)
    conforms = (
        picture.format == "JPEG"
        and picture.mode == "RGB"
        and orientation not in _UPRIGHT
        and min(picture.size) <= spec.size
        and _frame_marker(source) in (_BASELINE, _PROGRESSIVE)
    )
    _load(picture)
    if conforms:
        return NormalisedPicture(source, picture.height, picture.width)
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
    return _encode(_shrink(_to_rgb(picture), spec.size), spec.quality)


def shrunk_size(width: int, height: int, size: int) -> tuple[int, int]:
    """Return (width, height) scaled down until the shorter side is `size`; never scaled up."""
    shorter = min(width, height)
    if shorter <= size:
        return width, height
    return max(1, round(width * size / shorter)), max(1, round(height * size / shorter))


def _open(source: bytes) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(source), formats=FORMATS)
    except UnidentifiedImageError:
        raise _refusal(source) from None
    except Image.DecompressionBombError as error:
        raise PictureRejected(Rejection.TOO_LARGE, str(error)) from None
    # Pillow's parsers raise whatever the hostile bytes lead them to.
    except Exception as error:
        raise PictureRejected(Rejection.UNDECODABLE, _one_line(error)) from None
    if min(picture.size) < 1:
        raise PictureRejected(Rejection.UNDECODABLE, f"its size is {picture.size}")
    return picture


def _refusal(source: bytes) -> PictureRejected:
    """Tell a picture of a format that is not taken from bytes that are no picture."""
    if not source:
        return PictureRejected(Rejection.UNDECODABLE, "the file is empty")
    try:
        with Image.open(io.BytesIO(source)) as picture:
            return PictureRejected(
                Rejection.UNSUPPORTED_FORMAT, f"{picture.format} is none of {', '.join(FORMATS)}"
            )
    # As in `_open`: any parser, any exception.
    except Exception:
        return PictureRejected(Rejection.UNDECODABLE, "not a picture, or its header is broken")


def _load(picture: Image.Image) -> None:
    try:
        picture.load()
    # As in `_open`: any parser, any exception.
    except Exception as error:
        detail = _one_line(error)
        truncated = isinstance(error, EOFError) or "truncated" in detail.lower()
        reason = Rejection.TRUNCATED if truncated else Rejection.UNDECODABLE
        raise PictureRejected(reason, detail) from None


def _orientation(picture: Image.Image) -> int:
    try:
        return picture.getexif().get(_ORIENTATION_TAG, 1)
    # Broken EXIF says nothing about the pixels; as in `_open`: any exception.
    except Exception:
        return 1


def _frame_marker(source: bytes) -> int | None:
    """Return the start-of-frame marker of a JPEG: how its scans are coded."""
    at = 2
    while at + 4 <= len(source) and source[at] == 0xFF and source[at + 1] != _SCAN:
        marker = source[at + 1]
        # C4, C8 and CC are tables and extensions; ITU-T T.81, table B.1.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return marker
        at += 2 + int.from_bytes(source[at + 2 : at + 4], "big")
    return None


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        # 16 bits a pixel: Pillow's own conversion clips at 255 instead of scaling.
        eight_bits = picture.convert("I").point(lambda value: value * (1 / 256))
        return eight_bits.convert("L").convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")


def _shrink(picture: Image.Image, size: int) -> Image.Image:
    target = shrunk_size(*picture.size, size)
    if max(target) > MAX_SIDE:
        raise PictureRejected(
            Rejection.TOO_LARGE, f"{target[0]}x{target[1]} is longer than a JPEG's {MAX_SIDE}"
        )
    if target == picture.size:
        return picture
    return picture.resize(target, Image.Resampling.BILINEAR)


def _encode(picture: Image.Image, quality: int) -> NormalisedPicture:
    buffer = io.BytesIO()
    # A copy without the source's metadata: EXIF would turn an upright picture once more.
    plain = Image.frombytes("RGB", picture.size, picture.tobytes())
    plain.save(buffer, "JPEG", quality=quality)
    return NormalisedPicture(buffer.getvalue(), picture.height, picture.width)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
