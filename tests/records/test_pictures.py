"""The picture policy: what is stored, and what is refused before it can do harm."""

import io
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from records.pictures import PictureRejected, PictureSpec, normalise_picture, shrunk_size

SPEC = PictureSpec(size=64)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image, format_="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def corners(width=120, height=80):
    """White with a red top left and a blue bottom right quarter."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 2 - 1, height // 2 - 1), fill=RED)
    draw.rectangle((width // 2, height // 2, width, height), fill=BLUE)
    return image


def decoded(picture):
    image = Image.open(io.BytesIO(picture.encoded))
    image.load()
    assert (image.format, image.mode) == ("JPEG", "RGB")
    assert image.size == (picture.width, picture.height)
    assert image.getexif().get(0x0112, 1) == 1
    return image


def near(pixel, colour, tolerance=40):
    return all(abs(a - b) <= tolerance for a, b in zip(pixel, colour, strict=True))


def reason(source, spec=SPEC):
    with pytest.raises(PictureRejected) as rejected:
        normalise_picture(source, spec)
    assert "\n" not in rejected.value.detail
    return rejected.value.reason.value


@pytest.mark.parametrize(
    "options",
    [{}, {"quality": 30}, {"subsampling": 0}, {"restart_marker_blocks": 3}, {"keep_rgb": True}],
)
def test_a_conforming_jpeg_is_kept_to_the_byte(options):
    source = encoded(corners(100, 64), **options)
    assert normalise_picture(source, SPEC) == (source, 64, 100)


def test_a_larger_jpeg_is_scaled_to_its_shorter_side():
    picture = normalise_picture(encoded(corners(300, 200)), SPEC)
    assert (picture.width, picture.height) == (96, 64)
    image = decoded(picture)
    assert near(image.getpixel((10, 10)), RED) and near(image.getpixel((85, 55)), BLUE)


def test_scaling_is_antialiased():
    stripes = Image.new("L", (640, 640))
    stripes.putdata([255 * (x % 2) for _ in range(640) for x in range(640)])
    image = decoded(normalise_picture(encoded(stripes.convert("RGB"), "PNG"), SPEC))
    low, high = image.convert("L").crop((4, 4, 60, 60)).getextrema()
    assert low >= 115 and high <= 140


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(orientation):
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = corners(60, 40)
    stored = image.transpose(undo[orientation]) if orientation in undo else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = decoded(normalise_picture(encoded(stored, exif=exif), SPEC))
    assert upright.size == (60, 40)
    assert near(upright.getpixel((10, 10)), RED) and near(upright.getpixel((50, 30)), BLUE)
    assert near(upright.getpixel((50, 10)), WHITE)


@pytest.mark.parametrize("format_", ["PNG", "GIF", "BMP", "WEBP"])
def test_other_formats_become_jpeg(format_):
    image = decoded(normalise_picture(encoded(corners(), format_), SPEC))
    assert near(image.getpixel((10, 10)), RED)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
def test_other_modes_become_rgb(mode):
    format_ = "JPEG" if mode in ("L", "CMYK") else "PNG"
    image = decoded(normalise_picture(encoded(corners(100, 60).convert(mode), format_), SPEC))
    expected = corners(100, 60).convert(mode).convert("RGB")
    assert near(image.getpixel((90, 50)), expected.getpixel((90, 50)))
    assert near(image.getpixel((90, 10)), WHITE)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_flattened_on_white(mode):
    image = Image.new("RGBA", (50, 50), (0, 0, 0, 0)).convert(mode)
    assert near(decoded(normalise_picture(encoded(image, "PNG"), SPEC)).getpixel((25, 25)), WHITE)


def test_a_transparent_palette_entry_is_flattened_on_white():
    image = Image.new("P", (50, 50), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    source = encoded(image, "PNG", transparency=0)
    assert near(decoded(normalise_picture(source, SPEC)).getpixel((25, 25)), WHITE)


def test_sixteen_bits_are_scaled_not_clipped():
    image = Image.new("I;16", (50, 50), 32768)
    pixel = decoded(normalise_picture(encoded(image, "PNG"), SPEC)).getpixel((25, 25))
    assert near(pixel, (128, 128, 128), 3)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_is_taken(format_):
    frames = [Image.new("RGB", (50, 50), colour) for colour in (GREEN, RED)]
    source = encoded(frames[0], format_, save_all=True, append_images=frames[1:])
    assert near(decoded(normalise_picture(source, SPEC)).getpixel((25, 25)), GREEN)


def test_the_first_picture_of_a_phones_series_is_taken():
    frames = [Image.new("RGB", (50, 50), colour) for colour in (GREEN, RED)]
    source = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    picture = normalise_picture(source, SPEC)
    assert near(decoded(picture).getpixel((25, 25)), GREEN)
    assert len(picture.encoded) < len(source) / 1.5


@pytest.mark.parametrize("behind", [b"\0", b"ftypmp42" * 1000, encoded(corners())])
def test_nothing_behind_the_picture_is_stored(behind):
    source = encoded(corners(100, 64))
    picture = normalise_picture(source + behind, SPEC)
    assert picture.encoded != source + behind and decoded(picture).size == (100, 64)


def test_a_jpeg_that_is_mostly_metadata_is_encoded_anew():
    source = encoded(corners(100, 64), icc_profile=bytes(200_000))
    assert len(normalise_picture(source, SPEC).encoded) < 10_000


@pytest.mark.parametrize("options", [{"comment": "where I live"}, {"icc_profile": bytes(500)}])
def test_no_metadata_outlives_encoding(options):
    picture = normalise_picture(encoded(corners(300, 200), **options), SPEC)
    assert not {"comment", "icc_profile", "exif"} & set(decoded(picture).info)


def test_a_progressive_jpeg_is_encoded_anew():
    """TensorFlow and Pillow show different pixels where one lacks its last scans."""
    source = encoded(corners(100, 64), progressive=True)
    assert source.count(b"\xff\xda") > 1
    picture = normalise_picture(source, SPEC)
    assert picture.encoded != source and decoded(picture).size == (100, 64)


def test_a_jpeg_whose_last_segment_leads_beyond_the_file_is_truncated():
    source = encoded(corners(100, 64))
    middle = len(source) - 200
    assert reason(source[:middle] + b"\xff\xe5\xff\xff" + source[middle:]) == "truncated"


def exif_bomb(size):
    """EXIF of tags that all point at the same bytes, each as long as possible."""
    count = 1000
    data = 8 + 2 + 12 * count
    tags = b"".join(
        (300 + tag).to_bytes(2, "big")
        + (7).to_bytes(2, "big")
        + (size - data - 4).to_bytes(4, "big")
        + data.to_bytes(4, "big")
        for tag in range(count)
    )
    header = b"MM\0*\0\0\0\x08" + count.to_bytes(2, "big")
    return (header + tags).ljust(size, b"\0")


@pytest.mark.parametrize("format_", ["PNG", "WEBP"])
def test_exif_that_multiplies_in_memory_is_refused(format_):
    assert reason(encoded(corners(), format_, exif=exif_bomb(100_000))) == "too_large"
    assert normalise_picture(encoded(corners(), format_, exif=exif_bomb(60_000)), SPEC)


@pytest.mark.parametrize("hidden_behind", [b"", b"\xff\xff", b"\xff\xd9", b"\xff\xd8", b"\xff\0"])
def test_exif_over_several_segments_is_refused_before_pillow_joins_them(hidden_behind):
    bomb, source = exif_bomb(100_000), encoded(corners())
    parts = [b"Exif\0\0" + part for part in (bomb[:60_000], bomb[60_000:])]
    segments = [b"\xff\xe1" + (len(part) + 2).to_bytes(2, "big") + part for part in parts]
    hidden = source[:2] + hidden_behind + b"".join(segments) + source[2:]
    assert reason(hidden) == "too_large"


def test_a_jpeg_of_scans_without_end_is_refused():
    source = encoded(corners(), progressive=True)
    last = source[source.rindex(b"\xff\xda") : -2]
    assert decoded(normalise_picture(source[:-2] + last * 50 + source[-2:], SPEC))
    assert reason(source[:-2] + last * 100 + source[-2:]) == "too_large"


@pytest.mark.parametrize("hidden_behind", [b"", b"x", b"!\xf9\x04" + bytes(5)])
@pytest.mark.parametrize("colours", [2, 256])
def test_a_gif_of_comments_without_end_is_refused(hidden_behind, colours):
    source = encoded(Image.effect_noise((50, 50), 80).quantize(colours), "GIF")
    image = source.index(b",", 13 + 3 * colours)
    head, tail = source[:image] + hidden_behind + b"!\xfe", b"\0" + source[image:]
    assert decoded(normalise_picture(head + (b"\xff" + b"," * 255) * 250 + tail, SPEC))
    assert reason(head + (b"\xff" + b"," * 255) * 260 + tail) == "too_large"


@pytest.mark.parametrize("chunk", [b"iCCP", b"zTXt"])
def test_a_png_chunk_that_inflates_without_end_is_refused(chunk):
    source = encoded(corners(), "PNG")
    body = chunk + b"name\0\0" + zlib.compress(bytes(50 * 2**20), 9)
    bomb = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    # Behind the signature and IHDR.
    assert reason(source[:33] + bomb + source[33:]) == "undecodable"


def test_ycck_is_read_with_adobes_polarity():
    """Adobe stores CMYK inverted: full cyan is 0."""
    source = encoded(Image.new("CMYK", (50, 50), (255, 0, 0, 0)))
    assert b"Adobe" in source
    assert near(decoded(normalise_picture(source, SPEC)).getpixel((25, 25)), (0, 255, 255))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_does_not_cost_the_picture():
    source = encoded(corners(), exif=b"Exif\0\0MM\0*\0\0\xff\xff garbage")
    assert decoded(normalise_picture(source, SPEC)).size == (96, 64)


@given(st.integers(0, 10**6))
@settings(max_examples=60)
def test_every_cut_of_a_jpeg_is_refused(cut):
    source = encoded(corners(200, 150), quality=90)
    assert reason(source[: cut % len(source)]) in ("truncated", "undecodable")


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("GIF", {"interlace": 1}),
        ("BMP", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_no_cut_changes_the_picture(format_, options):
    """What may be missing is what stands behind the pixels."""
    source = encoded(corners(50, 40), format_, **options)
    whole = normalise_picture(source, SPEC)
    for cut in range(0, len(source), 1 + len(source) // 300):
        try:
            assert normalise_picture(source[:cut], SPEC) == whole
        except PictureRejected as rejected:
            assert rejected.reason.value in ("truncated", "undecodable")


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "BMP"])
def test_half_a_file_is_called_truncated(format_):
    source = encoded(Image.effect_noise((200, 200), 80).convert("RGB"), format_)
    assert reason(source[: len(source) // 2]) == "truncated"


def test_a_bomb_is_refused_before_it_is_decoded():
    row = zlib.compress(b"", 9)
    header = b"IHDR" + (30_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    bomb = b"\x89PNG\r\n\x1a\n"
    for chunk in (header, b"IDAT" + row, b"IEND"):
        bomb += (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    assert reason(bomb) == "too_large"


def test_min_side_is_a_limit_not_beyond():
    source = encoded(corners(100, 60))
    assert normalise_picture(source, PictureSpec(size=64, min_side=60)).encoded == source
    assert reason(source, PictureSpec(size=64, min_side=61)) == "too_small"


def test_max_pixels_is_a_limit_not_beyond():
    source = encoded(corners(100, 60))
    assert normalise_picture(source, PictureSpec(size=64, max_pixels=6000)).encoded
    assert reason(source, PictureSpec(size=64, max_pixels=5999)) == "too_large"


def test_longer_than_a_jpeg_can_be():
    assert reason(encoded(Image.new("L", (70_000, 4)), "PNG")) == "too_large"


@pytest.mark.parametrize("format_", ["TIFF", "PPM", "ICO", "JPEG2000", "AVIF", "PDF"])
def test_other_formats_are_refused_as_such(format_):
    assert reason(encoded(corners(), format_)) == "unsupported_format"


@pytest.mark.parametrize("source", [b"\0\0\0\x18ftypheic", b'<?xml version="1.0"?><svg', b"8BPS"])
def test_formats_that_pillow_does_not_write_are_refused_as_such(source):
    assert reason(source) == "unsupported_format"


@pytest.mark.parametrize("source", [b"", b"not a picture", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_undecodable(source):
    assert reason(source) == "undecodable"


@given(st.data())
@settings(max_examples=80)
def test_damaged_files_are_stored_whole_or_refused(data):
    format_ = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "WEBP"]))
    source = bytearray(encoded(corners(90, 70), format_))
    for _ in range(data.draw(st.integers(1, 4))):
        source[data.draw(st.integers(0, len(source) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = normalise_picture(bytes(source), PictureSpec(size=64, max_pixels=10**6))
    except PictureRejected:
        return
    decoded(picture)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(32, 512))
def test_shrunk_sizes(width, height, size):
    new_width, new_height = shrunk_size(width, height, size)
    assert min(new_width, new_height) == min(width, height, size)
    # Rounding moves the longer side by half a pixel at most.
    scale = min(1, size / min(width, height))
    assert abs(max(new_width, new_height) - max(width, height) * scale) <= 0.5


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 31},
        {"size": 4097},
        {"size": 224.0},
        {"size": True},
        {"quality": 0},
        {"quality": 96},
        {"max_pixels": 0},
        {"max_pixels": 10**9},
        {"min_side": 0},
        {"min_side": 65_501},
        {"version": 0},
    ],
)
def test_impossible_specs_name_the_field_and_its_value(fields):
    (name, value), *_ = fields.items()
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        PictureSpec(**fields)


def test_the_digest_changes_with_every_field():
    specs = [
        PictureSpec(),
        PictureSpec(size=225),
        PictureSpec(quality=91),
        PictureSpec(max_pixels=1),
        PictureSpec(min_side=2),
        PictureSpec(version=3),
    ]
    assert len({spec.digest() for spec in specs}) == len(specs)
    assert PictureSpec.from_dict(PictureSpec().to_dict()) == PictureSpec()


def test_real_pictures_of_the_right_size_are_kept_to_the_byte(shared):
    paths = sorted((shared / "flickr8k" / "Images").iterdir())[::200]
    assert len(paths) > 30
    for path in paths:
        assert normalise_picture(path.read_bytes(), PictureSpec()).encoded == path.read_bytes()
