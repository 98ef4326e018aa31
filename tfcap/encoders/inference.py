"""The encoder for inference: one graph with constant weights and as few operations as possible.

Keras runs BatchNorm as several operations of its own, and rescales and pads in extra passes over
the pixels. Here the network is written down anew, layer by layer, with all that is linear folded
into the convolutions, and in the forms that TensorFlow's optimizer merges into single oneDNN
kernels on a CPU: convolution, bias, and then an activation or the addition of a shortcut.
"""

from collections.abc import Callable, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from tfcap.encoders.folding import Convolved, Factor, Scaled

Value = Scaled | Convolved
Weights = Mapping[str, np.ndarray]


def inference_encoder(encoder: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Freeze an encoder, with BatchNorm folded into its convolutions.

    Args:
        encoder: a functional network of layers that `RULES` knows or that have no weights, each
            called once; one batch of pictures in, one feature map out, as `build_encoder` returns
            it.

    Returns:
        A function from pixels, uint8 or float [B, S, S, 3], values 0..255, to features, float32
        [B, h, w, C]. It is traced once, here, and can then be called from Python, in a
        `tf.function` and in `Dataset.map`. It holds the weights as they are now.

    Raises:
        ValueError: there is no rule for one of the layers.
    """
    config = encoder.get_config()
    operations = {operation.name: operation for operation in encoder.operations}
    weights = {name: _weights(operation) for name, operation in operations.items()}
    (output,) = _tensor_names(config["output_layers"])

    def forward(pixels: tf.Tensor) -> tf.Tensor:
        values = {}
        for entry in config["layers"]:
            name = entry["name"]
            if entry["class_name"] == "InputLayer":
                values[name] = Scaled(pixels)
                continue
            (call,) = entry["inbound_nodes"]
            inputs = [values.get(argument, argument) for argument in _arguments(call)]
            rule = _rule(entry["class_name"], operations[name], weights[name], inputs)
            values[name] = rule(operations[name], weights[name], *inputs)
        return values[output].computed

    pixels = tf.TensorSpec(encoder.input_shape, tf.float32, name="pixels")
    frozen = tf.function(forward, input_signature=[pixels], autograph=False)
    frozen = frozen.get_concrete_function()

    def encode(pixels: tf.Tensor) -> tf.Tensor:
        return frozen(tf.cast(pixels, tf.float32))

    return encode


def _weights(operation: keras.Operation) -> Weights:
    """Return the weights of a layer as float64, by name; of a bare operation none."""
    variables = getattr(operation, "variables", ())
    return {variable.name: variable.numpy().astype(np.float64) for variable in variables}


def _arguments(call: Mapping) -> Iterator[str | float]:
    """Yield the tensors, by the names of the layers they come from, and the numbers of a call."""

    def flatten(argument):
        if isinstance(argument, Mapping) and argument.get("class_name") == "__keras_tensor__":
            yield from _tensor_names(argument["config"]["keras_history"])
        elif isinstance(argument, list | tuple):
            for part in argument:
                yield from flatten(part)
        elif isinstance(argument, int | float) and not isinstance(argument, bool):
            yield argument

    yield from flatten([*call["args"], *call["kwargs"].values()])


def _tensor_names(histories: list | tuple) -> list[str]:
    """Return the layers' names in Keras histories: (name, call, output), nested or not."""
    return [part for part in tf.nest.flatten(histories) if isinstance(part, str)]


def _rule(
    kind: str, operation: keras.Operation, weights: Weights, inputs: list[Value | float]
) -> Callable[..., Value]:
    if kind in RULES:
        return RULES[kind]
    if weights or len(inputs) != 1:
        raise ValueError(f"no rule to freeze layer {operation.name!r}, a {kind}: add one to RULES")
    return _as_it_is


def _as_it_is(operation: keras.Operation, weights: Weights, value: Value) -> Value:
    return Scaled(operation(value.computed))


def _dropout(layer: keras.layers.Dropout, weights: Weights, value: Value) -> Value:
    return value


def _rescaling(layer: keras.layers.Rescaling, weights: Weights, value: Value) -> Value:
    return _shifted_first(value, np.asarray(layer.scale, np.float64), np.asarray(layer.offset))


def _normalization(layer: keras.layers.Normalization, weights: Weights, value: Value) -> Value:
    if layer.axis not in ((3,), (-1,)) or layer.invert:
        raise ValueError(f"no rule to freeze layer {layer.name!r}: {layer.get_config()}")
    mean, variance = (np.float64(part).ravel() for part in (layer.mean, layer.variance))
    scale = 1 / np.maximum(np.sqrt(variance), keras.backend.epsilon())
    return _shifted_first(value, scale, -mean * scale)


def _shifted_first(value: Value, scale: Factor, shift: Factor) -> Value:
    """Return a value times a scale plus a shift, with the factor left to the next convolution."""
    whole = value.unpadded()
    factor = whole.scale * scale
    if not np.any(shift):
        return Scaled(whole.tensor, factor)
    return Scaled(whole.tensor + np.float32(shift / factor), factor)


def _batch_normalization(
    layer: keras.layers.BatchNormalization, weights: Weights, value: Value
) -> Value:
    scale = weights.get("gamma", 1.0) / np.sqrt(weights["moving_variance"] + layer.epsilon)
    return value.affine(scale, weights.get("beta", 0.0) - weights["moving_mean"] * scale)


def _conv2d(layer: keras.layers.Conv2D, weights: Weights, value: Value) -> Value:
    _check_plain(layer)
    tensor, scale, padding = _input_of(layer, value)

    def convolve(kernel, bias):
        if tensor.shape[1:3] == (1, 1) and layer.kernel_size == (1, 1):
            # After a global pooling: a product of matrices costs a fifth of a convolution.
            product = tf.matmul(tf.reshape(tensor, [-1, tensor.shape[3]]), kernel[0, 0])
            return tf.nn.bias_add(product, bias)[:, None, None]
        return tf.nn.bias_add(tf.nn.conv2d(tensor, kernel, layer.strides, padding), bias)

    kernel = weights["kernel"] * np.reshape(scale, [-1, 1])
    bias = weights.get("bias", np.zeros(layer.filters))
    return _activated(layer.activation, Convolved(convolve, kernel, bias))


def _depthwise_conv2d(layer: keras.layers.DepthwiseConv2D, weights: Weights, value: Value) -> Value:
    _check_plain(layer)
    tensor, scale, padding = _input_of(layer, value)
    strides = (1, *layer.strides, 1)

    def convolve(kernel, bias):
        product = tf.nn.depthwise_conv2d(tensor, kernel[..., None], strides, padding)
        return tf.nn.bias_add(product, bias)

    kernel = weights["kernel"][..., 0] * scale
    bias = weights.get("bias", np.zeros(tensor.shape[3]))
    return _activated(layer.activation, Convolved(convolve, kernel, bias))


# What the rules for convolutions take for granted.
PLAIN = {
    "data_format": "channels_last",
    "dilation_rate": (1, 1),
    "groups": 1,
    "depth_multiplier": 1,
}


def _check_plain(layer: keras.layers.Layer) -> None:
    config = layer.get_config()
    for key, plain in PLAIN.items():
        if config.get(key, plain) != plain:
            raise ValueError(f"no rule to freeze layer {layer.name!r} with {key}={config[key]!r}")


def _input_of(layer: keras.layers.Layer, value: Value) -> tuple[tf.Tensor, Factor, str]:
    """Return (tensor, factor, padding) for a convolution of a value.

    Explicit padding before an unpadded convolution becomes that of the convolution where it is
    what TensorFlow's SAME means.
    """
    if isinstance(value, Scaled) and layer.padding == "valid":
        sizes = zip(value.tensor.shape[1:3], layer.kernel_size, layer.strides, strict=True)
        if np.any(value.pads) and value.pads == tuple(_same_pads(*size) for size in sizes):
            return value.tensor, value.scale, "SAME"
    whole = value.unpadded()
    return whole.tensor, whole.scale, layer.padding.upper()


def _same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after a dimension that SAME adds, as TensorFlow defines it."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _zero_padding(layer: keras.layers.ZeroPadding2D, weights: Weights, value: Value) -> Value:
    whole = value.unpadded()
    return Scaled(whole.tensor, whole.scale, tuple(map(tuple, layer.padding)))


def _activation(layer: keras.layers.Activation, weights: Weights, value: Value) -> Value:
    return _activated(layer.activation, value)


def _activated(activation: Callable[[tf.Tensor], tf.Tensor], value: Value) -> Value:
    if activation is keras.activations.linear:
        return value
    return Scaled(FORMS.get(activation, activation)(value.computed))


def _hard_silu(tensor: tf.Tensor) -> tf.Tensor:
    return tf.multiply(np.float32(1 / 6), tensor) * tf.nn.relu6(tf.add(3.0, tensor))


def _silu(tensor: tf.Tensor) -> tf.Tensor:
    return tensor * tf.sigmoid(tensor)


# Activations in the forms that TensorFlow's remapper merges into the convolution before them; all
# others it knows, or nothing can be done, as Keras writes them.
FORMS = {keras.activations.hard_silu: _hard_silu, keras.activations.silu: _silu}


def _pooling(layer: keras.layers.GlobalAveragePooling2D, weights: Weights, value: Value) -> Value:
    whole = value.unpadded()
    return Scaled(tf.reduce_mean(whole.tensor, [1, 2], keepdims=layer.keepdims), whole.scale)


def _reshape(layer: keras.layers.Reshape, weights: Weights, value: Value) -> Value:
    tensor = value.computed
    return Scaled(tf.reshape(tensor, [-1, *layer.compute_output_shape(tensor.shape)[1:]]))


def _concatenate(layer: keras.layers.Concatenate, weights: Weights, *values: Value) -> Value:
    return Scaled(tf.concat([value.computed for value in values], layer.axis))


def _add(operation: keras.Operation, weights: Weights, value: Value, other: Value | float) -> Value:
    if isinstance(other, int | float):
        return value.affine(1.0, other)
    return Scaled(value.computed + other.computed)


def _multiply(
    operation: keras.Operation, weights: Weights, value: Value, other: Value | float
) -> Value:
    if isinstance(other, int | float):
        return value.affine(other, 0.0)
    a, b = value.unpadded(), other.unpadded()
    return Scaled(a.tensor * b.tensor, a.scale * b.scale)


# By the name of the layer's class; each from the layer, its weights and its inputs to its output.
RULES = {
    "Activation": _activation,
    "Add": _add,
    "BatchNormalization": _batch_normalization,
    "Concatenate": _concatenate,
    "Conv2D": _conv2d,
    "DepthwiseConv2D": _depthwise_conv2d,
    "Dropout": _dropout,
    "GlobalAveragePooling2D": _pooling,
    "Multiply": _multiply,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "ZeroPadding2D": _zero_padding,
}
