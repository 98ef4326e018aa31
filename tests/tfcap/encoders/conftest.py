"""Encoders whose weights are not as drawn: made once, since some take seconds to build."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import networks

from tfcap.encoders import build_encoder


@pytest.fixture(scope="session")
def encoder() -> Callable[[str], keras.Model]:
    """A function from the name of an encoder to it, at `networks.SIZES`; nobody may change it."""

    @functools.cache
    def build(name: str) -> keras.Model:
        keras.utils.set_random_seed(3)
        model = build_encoder(name, networks.SIZES.get(name, networks.SIZE), "none")
        networks.randomise(model, seed=3)
        return model

    return build
