"""The blocks of an encoder: what of it can be fine-tuned by itself."""

import itertools
import re
from collections.abc import Sequence

import keras

from records.errors import UserError

# What Keras begins the names of a block's layers with: MobileNetV3's bottlenecks, ResNet50's
# residual blocks, EfficientNetV2's blocks (a letter within each stage) and VGG16's stages. Of
# InceptionV3 only the layer that ends a block has a name of its own.
_BLOCK = re.compile(
    r"expanded_conv(_\d+)?(?=_)|conv\d+_block\d+(?=_)|block\d+[a-z]?(?=_)|mixed\d+$"
)


def blocks_of(encoder: keras.Model) -> list[list[keras.layers.Layer]]:
    """Return the layers of an encoder block by block, from the pixels to the features.

    A block ends with the last layer that is named after it. What comes before the first one
    counts to that, what comes after the last one to the last: so each layer is in one block. A
    network with other names is one block.
    """
    layers = encoder.layers
    ends = {}
    for place, layer in enumerate(layers, 1):
        if name := _BLOCK.match(layer.name):
            ends[name[0]] = place
    bounds = [0, *sorted(ends.values())[:-1], len(layers)]
    return [layers[start:end] for start, end in itertools.pairwise(bounds)]


def tunable_weights(encoder: keras.Model, last_blocks: int = 0) -> list[keras.Variable]:
    """Return the weights that fine-tuning changes: none of batch normalization, which is frozen.

    Args:
        encoder: as of `build_encoder`.
        last_blocks: only those of so many blocks, the nearest to the features; 0 is all.

    Raises:
        UserError: it has fewer blocks.
    """
    blocks = blocks_of(encoder)
    if last_blocks > len(blocks):
        raise UserError(
            f"--fine-tune-blocks {last_blocks}: {encoder.name} has {len(blocks)} blocks: "
            "ask for no more, or for 0, which is all"
        )
    return [
        weight
        for block in blocks[-last_blocks:]
        for layer in _flat(block)
        if not isinstance(layer, keras.layers.BatchNormalization)
        for weight in layer._trainable_variables
    ]


def _flat(layers: Sequence[keras.layers.Layer]) -> list[keras.layers.Layer]:
    """Return layers with those that they are made of."""
    return [part for layer in layers for part in layer._flatten_layers()]
