"""The picture policy: which pictures are taken, and what of them a record stores."""

import contextlib
import dataclasses
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from records.dead_letters import Reason
from records.gif import comment_bytes
from records.jpeg import BASELINE, JpegLayout, read_layout
from records.specs import Spec

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
# libjpeg's JPEG_MAX_DIMENSION: no JPEG can be longer.
MAX_SIDE = 65_500
# A directory of EXIF tags may point at the same bytes again and again, and Pillow copies them for
# each: half a megabyte of EXIF takes more than a gigabyte of memory. One JPEG segment is as much as
# a camera writes.
MAX_EXIF = 65_536
# Encoders write about ten scans. A scan of a few bytes costs a walk over all pixels.
MAX_SCANS = 100
# Pillow joins the pieces of a GIF's comment one by one, in a time that grows with their square.
MAX_COMMENT = 65_536

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
# By their first bytes: no parser of a format that is not taken gets to see hostile bytes.
_OTHER_FORMATS = {
    "TIFF": rb"II\*\0|MM\0\*",
    "HEIF or AVIF": rb".{4}ftyp(heic|heix|heim|heis|hevc|hevx|mif1|msf1|avif|avis)",
    "JPEG 2000": rb"\x00{3}\x0cjP  |\xff\x4f\xff\x51",
    "JPEG XL": rb"\xff\x0a|\x00{3}\x0cJXL ",
    "ICO": rb"\x00\x00\x01\x00",
    "PPM": rb"P[1-7]\s",
    "PSD": rb"8BPS",
    "PDF": rb"%PDF-",
    "SVG": rb"\s*<(\?xml|svg)",
}
# What a kept JPEG may have in metadata, beyond the size of its pixels.
_METADATA_BYTES = 65_536


@dataclasses.dataclass(frozen=True)
class PictureSpec(Spec):
    """How pictures are stored and what an encoder sees; shared by Beam, tf.data and the export.

    Attributes:
        size: pixels of the shorter side of a stored picture (smaller ones are not enlarged), and of
            both sides of the square that an encoder sees: stored pictures are squashed to it.
        quality: of the JPEGs, 1 to 95 on libjpeg's scale.
        max_pixels: a picture of more pixels is refused before it is decoded.
        min_side: a picture whose shorter side has fewer pixels is refused.
        version: raised whenever `normalise_picture` would store other bytes.
    """

    size: int = 224
    quality: int = 90
    max_pixels: int = 50_000_000
    min_side: int = 1
    version: int = 2

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
        if not 1 <= self.min_side <= MAX_SIDE:
            raise ValueError(f"min_side must be in 1..{MAX_SIDE}, got {self.min_side}")
        if self.version < 1:
            raise ValueError(f"version must be at least 1, got {self.version}")


class PictureRejected(Exception):
    """A picture that cannot be stored.

    Attributes:
        reason: the class of the reason.
        detail: the rest of it, in words.
    """

    def __init__(self, reason: Reason, detail: str):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class NormalisedPicture(NamedTuple):
    """A picture as it is stored: JPEG bytes and their size in pixels."""

    encoded: bytes
    height: int
    width: int


def normalise_picture(source: bytes, spec: PictureSpec) -> NormalisedPicture:
    """Return the picture as an upright RGB JPEG whose shorter side is at most `spec.size`.

    A baseline JPEG that conforms already is stored as it is. Anything else is decoded, turned
    upright by its EXIF orientation, flattened on white, made RGB (of an animation or a series the
    first frame; colour profiles are not applied), scaled down with an antialiased triangle filter
    and encoded without metadata.

    Args:
        source: the bytes of a picture file.
        spec: the picture policy.

    Raises:
        PictureRejected: it does not decode fully, is too small or too large, or of another format.
    """
    layout = read_layout(source) if source.startswith(b"\xff\xd8") else None
    if layout is not None:
        _check_layout(layout)
    if source.startswith(b"GIF8"):
        _check_metadata("comments", comment_bytes(source), MAX_COMMENT)
    picture = _open(source)
    _check_sides(picture, spec)
    with _failures_refused():
        picture.load()
    # Pillow lets some of these pass, which TensorFlow refuses.
    if layout is not None and layout.end is None:
        raise PictureRejected(Reason.TRUNCATED, "no marker at the end of the JPEG")
    orientation = _orientation(picture)
    if orientation not in _UPRIGHT and _is_storable(source, layout, picture, spec):
        return NormalisedPicture(source, picture.height, picture.width)
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
    with _failures_refused():
        picture = _to_rgb(picture)
    return _encode(_shrink(picture, spec.size), spec.quality)


def shrunk_size(width: int, height: int, size: int) -> tuple[int, int]:
    """Return (width, height) scaled down until the shorter side is `size`; never scaled up."""
    shorter = min(width, height)
    if shorter <= size:
        return width, height
    return max(1, round(width * size / shorter)), max(1, round(height * size / shorter))


@contextlib.contextmanager
def _failures_refused() -> Iterator[None]:
    """Make PictureRejected of what Pillow raises: whatever the hostile bytes lead it to."""
    try:
        yield
    except UnidentifiedImageError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureRejected(Reason.TOO_LARGE, str(error)) from None
    except Exception as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        truncated = isinstance(error, EOFError) or "truncated" in detail.lower()
        reason = Reason.TRUNCATED if truncated else Reason.UNDECODABLE
        raise PictureRejected(reason, detail) from None


def _open(source: bytes) -> Image.Image:
    try:
        with _failures_refused():
            return Image.open(io.BytesIO(source), formats=FORMATS)
    except UnidentifiedImageError:
        raise _refusal(source) from None


def _refusal(source: bytes) -> PictureRejected:
    """Tell a picture of a format that is not taken from bytes that are no picture."""
    if not source:
        return PictureRejected(Reason.UNDECODABLE, "the file is empty")
    for name, magic in _OTHER_FORMATS.items():
        if re.match(magic, source[:64], re.DOTALL):
            detail = f"{name} is none of {', '.join(FORMATS)}"
            return PictureRejected(Reason.UNSUPPORTED_FORMAT, detail)
    return PictureRejected(Reason.UNDECODABLE, "not a picture, or its header is broken")


def _check_layout(layout: JpegLayout) -> None:
    """Refuse what would take memory or time out of all proportion."""
    _check_metadata("EXIF data", layout.exif_bytes, MAX_EXIF)
    if layout.scans > MAX_SCANS:
        detail = f"a JPEG of {layout.scans} scans, more than {MAX_SCANS}"
        raise PictureRejected(Reason.TOO_LARGE, detail)


def _check_metadata(name: str, size: int, limit: int) -> None:
    if size > limit:
        detail = f"{size} bytes of {name}, more than {limit}"
        raise PictureRejected(Reason.TOO_LARGE, detail)


def _check_sides(picture: Image.Image, spec: PictureSpec) -> None:
    sides, pixels = f"{picture.width}x{picture.height}", picture.width * picture.height
    if min(picture.size) < spec.min_side:
        detail = f"{sides}: the shorter side has fewer than {spec.min_side} pixels"
        raise PictureRejected(Reason.TOO_SMALL, detail)
    if pixels > spec.max_pixels:
        detail = f"{sides} is {pixels} pixels, more than {spec.max_pixels}"
        raise PictureRejected(Reason.TOO_LARGE, detail)


def _orientation(picture: Image.Image) -> int:
    # Both are where Pillow looks.
    size = len(picture.info.get("exif", b""))
    hexadecimal = len(picture.info.get("Raw profile type exif", ""))
    _check_metadata("EXIF data", max(size, hexadecimal // 2), MAX_EXIF)
    try:
        return picture.getexif().get(_ORIENTATION_TAG, 1)
    # Broken EXIF says nothing about the pixels, whatever it makes Pillow raise.
    except Exception:
        return 1


def _is_storable(
    source: bytes, layout: JpegLayout | None, picture: Image.Image, spec: PictureSpec
) -> bool:
    """Tell whether an upright picture's bytes can be stored as they are.

    Baseline alone: decoders disagree on the pixels of a progressive JPEG that lacks its last
    scans, and take twice as long over any. Nothing behind the picture, such as a phone's video.
    """
    return (
        picture.format == "JPEG"
        and picture.mode == "RGB"
        and min(picture.size) <= spec.size
        and layout.frame == BASELINE
        and layout.end == len(source) <= 3 * picture.width * picture.height + _METADATA_BYTES
    )


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        # 16 bits a pixel: Pillow's own conversion clips at 255 instead of scaling.
        eight_bits = picture.convert("I").point(lambda value: value * (1 / 256))
        return eight_bits.convert("L").convert("RGB")
    if not picture.has_transparency_data:
        # `convert` would copy a picture that is RGB already.
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    layer = picture.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")


def _shrink(picture: Image.Image, size: int) -> Image.Image:
    target = shrunk_size(*picture.size, size)
    if max(target) > MAX_SIDE:
        raise PictureRejected(
            Reason.TOO_LARGE, f"{target[0]}x{target[1]} is longer than a JPEG's {MAX_SIDE}"
        )
    if target == picture.size:
        return picture
    return picture.resize(target, Image.Resampling.BILINEAR)


def _encode(picture: Image.Image, quality: int) -> NormalisedPicture:
    buffer = io.BytesIO()
    # The source's metadata ends here: an orientation would turn an upright picture once more.
    picture.info = {}
    picture.save(buffer, "JPEG", quality=quality)
    return NormalisedPicture(buffer.getvalue(), picture.height, picture.width)
