"""Encoders: the Keras networks that turn pixels into a spatial feature map, by name."""

import functools
from pathlib import Path

import keras

from records.errors import UserError


def _small_stride16(**arguments) -> keras.Model:
    """Build MobileNetV3-Small up to its last layer at a sixteenth of the input's resolution."""
    whole = keras.applications.MobileNetV3Small(include_top=False, **arguments)
    last = whole.get_layer("expanded_conv_8_depthwise_pad").input
    return keras.Model(whole.input, last, name="MobileNetV3SmallStride16")


# Each builds its network for `input_shape` and `weights`, from float pixels 0..255: all of these
# rescale inside.
ENCODERS = {
    "mobilenet_v3_small": functools.partial(keras.applications.MobileNetV3Small, include_top=False),
    "mobilenet_v3_small_stride16": _small_stride16,
    "mobilenet_v3_large": functools.partial(keras.applications.MobileNetV3Large, include_top=False),
    "mobilenet_v3_large_minimalistic": functools.partial(
        keras.applications.MobileNetV3Large, include_top=False, minimalistic=True
    ),
}


def build_encoder(name: str, size: int, weights: str, pooled: bool = False) -> keras.Model:
    """Build a frozen encoder.

    Args:
        name: a key of `ENCODERS`.
        size: side of the square input in pixels.
        weights: "imagenet" (Keras downloads them), "none" (random), or the path of a Keras
            weights file of this network without its top.
        pooled: whether to give the mean of the map instead, as a map of one cell.

    Returns:
        A model from float [B, size, size, 3], values 0..255, to features [B, h, w, C].

    Raises:
        UserError: unknown name, a file that is missing or does not fit, a failed download.
    """
    if name not in ENCODERS:
        raise UserError(f"unknown encoder {name!r}: choose one of {', '.join(ENCODERS)}")
    shape = (size, size, 3)
    if weights == "imagenet":
        try:
            encoder = ENCODERS[name](input_shape=shape, weights="imagenet")
        except Exception as error:  # Keras wraps what its download raises in bare exceptions.
            raise UserError(
                f"the ImageNet weights of {name} cannot be downloaded ({_first_line(error)}): "
                "give the path of a weights file, or 'none'"
            ) from error
    else:
        encoder = ENCODERS[name](input_shape=shape, weights=None)
        if weights != "none":
            load_weights(encoder, Path(weights))
    if pooled:
        pool = keras.layers.GlobalAveragePooling2D(keepdims=True, name="pooled")
        encoder = keras.Model(encoder.input, pool(encoder.output), name=encoder.name)
    encoder.trainable = False
    return encoder


def save_weights(model: keras.Model, path: Path) -> None:
    """Write the weights of a model to a `.weights.h5` file, whole or not at all."""
    temporary = path.with_name(f"partial.{path.name}")
    try:
        model.save_weights(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_weights(model: keras.Model, path: Path) -> None:
    """Load a Keras weights file (.h5 or .weights.h5) into a model.

    Raises:
        UserError: the file is missing, is no weights file, or belongs to another network.
    """
    if not path.is_file() or path.suffix != ".h5":
        raise UserError(f"{path} is no weights file: give an .h5 file of Keras weights")
    try:
        model.load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds for a file that does not fit.
        raise UserError(
            f"weights file {path} does not fit {model.name} ({_first_line(error)}): "
            "give Keras weights of that very network, without its top"
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:160]
