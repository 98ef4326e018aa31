"""Networks with weights that show what is done to them, and pictures for them."""

import keras
import numpy as np

SIZE = 64
# Odd sides too: their halves are padded in another way. InceptionV3 takes none below 75.
SIZES = {"inception_v3": 77, "efficientnet_v2_b0": 75, "mobilenet_v3_large": 75, "resnet50": 75}


def randomise(model: keras.Model, seed: int) -> None:
    """Draw biases and BatchNorm's scales, shifts and statistics.

    The statistics come from real activations, then bent: ones that are far from them would leave
    features of next to nothing, or of such a size that rounding decides all.
    """
    generator = np.random.default_rng(seed)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.trainable, layer.momentum = True, 0.0
        if layer.scale:
            layer.gamma.assign(generator.uniform(0.5, 1.5, layer.gamma.shape))
        layer.beta.assign(generator.normal(scale=0.5, size=layer.beta.shape))
    for layer in model.layers:
        if getattr(layer, "bias", None) is not None:
            layer.bias.assign(generator.normal(scale=0.5, size=layer.bias.shape))
    if norms:
        model(pictures(8, seed, model.input_shape[1]).astype(np.float32), training=True)
    for layer in norms:
        bent = generator.uniform(0.8, 1.2, layer.moving_variance.shape)
        layer.moving_variance.assign(layer.moving_variance * bent)
        layer.moving_mean.assign_add(generator.normal(scale=0.1, size=layer.moving_mean.shape))
    model.trainable = False


def pictures(count: int, seed: int = 0, size: int = SIZE) -> np.ndarray:
    """Draw noise: uint8 [count, size, size, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)
