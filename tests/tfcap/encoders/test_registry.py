"""Encoders by name: what they make of pixels, the files and the sizes that they take."""

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format
from networks import pictures

from records.errors import UserError
from tfcap.encoders import ENCODERS, build_encoder, load_weights
from tfcap.encoders.registry import smallest_size

applications = keras.applications
# The bare network, and what Keras wants done to its pixels.
BARE = {
    "efficientnet_v2_b0": (
        applications.EfficientNetV2B0,
        applications.efficientnet_v2.preprocess_input,
    ),
    "inception_v3": (applications.InceptionV3, applications.inception_v3.preprocess_input),
    "resnet50": (applications.ResNet50, applications.resnet50.preprocess_input),
    "vgg16": (applications.VGG16, applications.vgg16.preprocess_input),
}


def save_legacy_weights(model: keras.Model, path: Path) -> None:
    """Write weights as Keras's own downloads have them, which Keras 3 reads and does not write."""
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


@pytest.mark.parametrize("name", BARE)
def test_files_of_the_bare_network_give_its_features_of_preprocessed_pictures(
    name, encoder, tmp_path
):
    application, preprocess = BARE[name]
    size = smallest_size(name)
    bare = application(include_top=False, weights=None, input_shape=(size, size, 3))
    bare.set_weights(encoder(name).get_weights())
    pixels = pictures(3, size=size).astype(np.float32)
    expected = bare(preprocess(pixels.copy()), training=False).numpy()
    assert expected.std() > 1e-3
    save_legacy_weights(bare, tmp_path / "legacy.h5")
    bare.save_weights(tmp_path / "network.weights.h5")
    loaded = build_encoder(name, size, "none")
    for file in ("legacy.h5", "network.weights.h5"):
        for weight in loaded.weights:
            weight.assign(np.zeros(weight.shape))
        load_weights(loaded, tmp_path / file)
        (tmp_path / file).unlink()
        found = loaded(pixels, training=False).numpy()
        assert abs(found - expected).max() < 1e-3 * expected.std()


@pytest.mark.parametrize("name", ENCODERS)
def test_the_smallest_size_is_the_networks_own(name):
    smallest = smallest_size(name)
    below = smallest - 1
    with pytest.raises(ValueError, match=f"at least {smallest}x{smallest}"):
        ENCODERS[name](input_shape=(below, below, 3), weights=None)
    message = f"{name} takes pictures of at least {smallest} pixels a side, not of {below}: "
    with pytest.raises(UserError, match=message):
        build_encoder(name, below, "none")


def test_another_networks_file_is_refused_in_one_line(tmp_path, encoder, recwarn):
    encoder("mobilenet_v3_small").save_weights(tmp_path / "small.weights.h5")
    recwarn.clear()
    with pytest.raises(UserError, match=r"small\.weights\.h5 does not fit vgg16") as raised:
        build_encoder("vgg16", 32, str(tmp_path / "small.weights.h5"))
    assert "\n" not in str(raised.value)
    assert [str(warning.message) for warning in recwarn] == []


def test_weights_that_cannot_be_downloaded_are_one_line(monkeypatch):
    def fail(*arguments, **options):
        raise Exception("URL fetch failure on https://nowhere\nof many lines")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", fail)
    with pytest.raises(UserError, match="ImageNet weights of resnet50 cannot be") as raised:
        build_encoder("resnet50", 32, "imagenet")
    assert "\n" not in str(raised.value)
