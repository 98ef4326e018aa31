"""Encoders: the Keras networks that turn pixels into a spatial feature map, by name."""

import functools
import warnings
from collections.abc import Callable
from pathlib import Path

import keras

from records.errors import UserError


def _small_stride16(**arguments) -> keras.Model:
    """Build MobileNetV3-Small up to its last layer at a sixteenth of the input's resolution."""
    whole = keras.applications.MobileNetV3Small(include_top=False, **arguments)
    last = whole.get_layer("expanded_conv_8_depthwise_pad").input
    return keras.Model(whole.input, last, name="MobileNetV3SmallStride16")


def _caffe_pixels(pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Return RGB pixels as BGR without ImageNet's means, as Caffe's networks were trained on."""
    return keras.layers.Rescaling(1.0, [-103.939, -116.779, -123.68])(keras.ops.flip(pixels, -1))


def _inception_pixels(pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Return pixels scaled to -1..1."""
    return keras.layers.Rescaling(1 / 127.5, -1.0)(pixels)


def _behind(
    preprocess: Callable[[keras.KerasTensor], keras.KerasTensor],
    application: Callable[..., keras.Model],
    input_shape: tuple[int, int, int],
    weights: str | None,
) -> keras.Model:
    """Build a network that has no preprocessing inside behind the one that it needs.

    What is put before it has no weights, so files of the bare network fit.
    """
    pixels = keras.Input(input_shape)
    network = application(
        include_top=False,
        weights=weights,
        input_tensor=preprocess(pixels),
        input_shape=input_shape,
    )
    return keras.Model(pixels, network.output, name=network.name)


# Each builds its network for `input_shape` and `weights`, from float pixels 0..255: what it needs
# of them, it makes of them inside.
ENCODERS = {
    "mobilenet_v3_small": functools.partial(keras.applications.MobileNetV3Small, include_top=False),
    "mobilenet_v3_small_stride16": _small_stride16,
    "mobilenet_v3_large": functools.partial(keras.applications.MobileNetV3Large, include_top=False),
    "mobilenet_v3_large_minimalistic": functools.partial(
        keras.applications.MobileNetV3Large, include_top=False, minimalistic=True
    ),
    "efficientnet_v2_b0": functools.partial(keras.applications.EfficientNetV2B0, include_top=False),
    "inception_v3": functools.partial(_behind, _inception_pixels, keras.applications.InceptionV3),
    "resnet50": functools.partial(_behind, _caffe_pixels, keras.applications.ResNet50),
    "vgg16": functools.partial(_behind, _caffe_pixels, keras.applications.VGG16),
}
# Of the input's side in pixels, as Keras has it.
_SMALLEST, _SMALLEST_OF = 32, {"inception_v3": 75}


def smallest_size(name: str) -> int:
    """Return the smallest side of the square input, in pixels, that an encoder can take."""
    return _SMALLEST_OF.get(name, _SMALLEST)


def build_encoder(name: str, size: int, weights: str, pooled: bool = False) -> keras.Model:
    """Build a frozen encoder.

    Args:
        name: a key of `ENCODERS`.
        size: side of the square input in pixels; `smallest_size` and above.
        weights: "imagenet" (Keras downloads them), "none" (random), or the path of a Keras
            weights file of this network without its top.
        pooled: whether to give the mean of the map instead, as a map of one cell.

    Returns:
        A model from float [B, size, size, 3], values 0..255, to features [B, h, w, C].

    Raises:
        UserError: unknown name, pictures too small for it, a file that is missing or does not fit,
            a failed download.
    """
    if name not in ENCODERS:
        raise UserError(f"unknown encoder {name!r}: choose one of {', '.join(ENCODERS)}")
    smallest = smallest_size(name)
    if size < smallest:
        raise UserError(
            f"{name} takes pictures of at least {smallest} pixels a side, not of {size}: "
            "build the records with a larger --image-size, or choose another encoder"
        )
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
        with warnings.catch_warnings():
            # A dozen lines about a file that does not fit, before the error that says so.
            warnings.simplefilter("ignore")
            model.load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds for a file that does not fit.
        raise UserError(
            f"weights file {path} does not fit {model.name} ({_first_line(error)}): "
            "give Keras weights of that very network, without its top"
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:160]
