"""Augmentation in the graph: the same picture and seed always give the same pixels.

A picture is cropped and stretched back, its colours are changed, and it is mirrored, in this order.
"""

import dataclasses
import math

import tensorflow as tf

from records.specs import Spec

# Szegedy et al. 2015, "Going Deeper with Convolutions", section 6: crops of an aspect ratio between
# 3/4 and 4/3; torchvision's `RandomResizedCrop` draws the logarithm, as we do.
_LOG_RATIO = math.log(4 / 3)
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, what JPEG and Pillow's "L" call brightness
# Which of the numbers drawn for a picture serve what: to switch one kind on or off leaves the
# others' alone. New kinds take numbers at the end.
_FLIP, _AREA, _RATIO, _TOP, _LEFT, _BRIGHTNESS, _CONTRAST, _SATURATION = range(8)


@dataclasses.dataclass(frozen=True)
class AugmentSpec(Spec):
    """How pictures vary from epoch to epoch.

    Attributes:
        flip: whether half of the pictures are mirrored, of those whose captions allow it.
        crop: the largest share of the area that a random resized crop leaves out; 0 is no crop.
        colour: strength of the changes: the factors of brightness, contrast and saturation lie
            between 1 - colour and 1 + colour; 0 is none.
    """

    flip: bool = True
    crop: float = 0.0
    colour: float = 0.0

    def __post_init__(self):
        for name in ("crop", "colour"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")

    def __bool__(self) -> bool:
        """Tell whether anything changes at all."""
        return bool(self.flip or self.crop or self.colour)


def augment(image: tf.Tensor, texts: tf.Tensor, seed: tf.Tensor, spec: AugmentSpec) -> tf.Tensor:
    """Vary one picture.

    Args:
        image: uint8 [S, S, 3].
        texts: string [n], its cleaned captions: one that speaks of left or right forbids a flip.
        seed: int64 [2]; the same seed gives the same pixels.
        spec: what varies.

    Returns:
        uint8 [S, S, 3].
    """
    if not spec:
        return image
    draws = tf.random.stateless_uniform([8], seed)
    pixels = image
    if spec.crop:
        pixels = resized_crop(pixels, *crop_box(draws, pixels.shape[0], spec.crop))
    if spec.colour:
        factors = 1 + spec.colour * (2 * draws[_BRIGHTNESS : _SATURATION + 1] - 1)
        pixels = change_colours(tf.cast(pixels, tf.float32), *tf.unstack(factors))
    if pixels.dtype != tf.uint8:
        pixels = tf.saturate_cast(tf.round(pixels), tf.uint8)
    if spec.flip:
        heads = (draws[_FLIP] < 0.5) & ~speaks_of_sides(texts)
        pixels = tf.cond(heads, lambda: tf.reverse(pixels, axis=[1]), lambda: pixels)
    return pixels


def speaks_of_sides(texts: tf.Tensor) -> tf.Tensor:
    """Tell, bool [], whether any of the cleaned captions, string [n], says left or right."""
    return tf.reduce_any(tf.strings.regex_full_match(texts, r"(?i).*\b(left|right)\b.*"))


def crop_box(draws: tf.Tensor, side: int, crop: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw a crop of a square picture.

    Its share of the area is uniform in [1 - crop, 1], the logarithm of its aspect ratio uniform
    over [3/4, 4/3] or what of that fits into the picture at this area, its place uniform.

    Args:
        draws: float32 [8], uniform in [0, 1).
        side: of the picture in pixels.
        crop: as of `AugmentSpec`.

    Returns:
        (its first row and column, its height and width), each int32 [2], in pixels.
    """
    area = 1 - crop * draws[_AREA]
    # A side of at most 1 takes a ratio between area and 1 / area.
    log_ratio = tf.minimum(_LOG_RATIO, -tf.math.log(area)) * (2 * draws[_RATIO] - 1)
    sides = tf.sqrt(area * tf.exp(tf.stack([-log_ratio, log_ratio])))
    size = tf.clip_by_value(tf.cast(tf.round(side * sides), tf.int32), 1, side)
    room = tf.cast(side - size + 1, tf.float32)
    return tf.cast(draws[_TOP : _LEFT + 1] * room, tf.int32), size


def resized_crop(pixels: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Stretch a crop of a picture over the whole square.

    Args:
        pixels: uint8 [S, S, 3].
        start: int32 [2], first row and column of the crop.
        size: int32 [2], its height and width.

    Returns:
        float32 [S, S, 3].
    """
    part = tf.slice(pixels, tf.concat([start, [0]], 0), tf.concat([size, [3]], 0))
    return tf.image.resize(part, pixels.shape[:2], method="bilinear")


def change_colours(
    pixels: tf.Tensor, brightness: tf.Tensor, contrast: tf.Tensor, saturation: tf.Tensor
) -> tf.Tensor:
    """Change brightness, then contrast, then saturation.

    As torchvision's `ColorJitter` defines them: the picture is blended with black, with its mean
    grey, and with its grey self. The three are linear, so they are one affine map of the colours;
    nothing is cut off in between.

    Args:
        pixels: float32 [S, S, 3], 0..255.
        brightness: factor, float []; as are `contrast` and `saturation`.

    Returns:
        float32 [S, S, 3], which may exceed 0..255.
    """
    luma = tf.constant(_LUMA)
    mean_grey = tf.tensordot(tf.reduce_mean(pixels, axis=[0, 1]), luma, 1)
    mixing = saturation * tf.eye(3) + (1 - saturation) * tf.stack([luma] * 3, axis=1)
    offset = brightness * (1 - contrast) * mean_grey
    return tf.tensordot(pixels, brightness * contrast * mixing, 1) + offset
