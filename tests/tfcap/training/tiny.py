"""`tfcap train` with an encoder that is traced in no time; a program too, for tests to kill."""

import json
import sys
from unittest import mock

import keras

from tfcap.cli.main import main
from tfcap.encoders import ENCODERS

NAME = "tiny"
SMALL = (
    *("--encoder", NAME, "--encoder-weights", "none"),
    *("--units", "16", "--embedding", "8", "--epochs", "2", "--batch-size", "4"),
)


def build_tiny(input_shape, weights):
    """Build a network in the form of those of `ENCODERS`, of two blocks."""
    assert weights is None
    inputs = keras.Input(input_shape)
    pixels = keras.layers.Rescaling(1 / 127.5, -1.0)(inputs)
    features = keras.layers.Conv2D(16, 3, strides=32, use_bias=False, name="block1_conv")(pixels)
    features = keras.layers.ReLU()(keras.layers.BatchNormalization()(features))
    drawn = keras.initializers.Orthogonal(seed=1)
    features = keras.layers.Conv2D(
        16, 1, use_bias=False, kernel_initializer=drawn, name="block2_conv"
    )(features)
    features = keras.layers.BatchNormalization()(features)
    return keras.Model(inputs, keras.layers.ReLU()(features))


def train(dataset, run, *flags) -> int:
    """Run the command, which knows the encoder meanwhile; returns its exit code."""
    with mock.patch.dict(ENCODERS, {NAME: build_tiny}):
        return main(["train", "--dataset", str(dataset), "--run", str(run), *SMALL, *flags])


def predict(dataset, path, *flags) -> list[dict]:
    """Evaluate on the validation split with the given flags; returns the captions."""
    command = ["evaluate", *flags, "--dataset", str(dataset), "--predictions", str(path)]
    assert main(command) == 0
    return json.loads(path.read_text())


if __name__ == "__main__":
    sys.exit(train(*sys.argv[1:]))
