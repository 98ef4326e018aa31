"""The key of stored features: it changes with whatever would change them."""

import dataclasses

import keras
import pytest

from records.pictures import PictureSpec
from tfcap.augment import AugmentSpec
from tfcap.features import EncoderIdentity, FeatureSpec, identify_encoder
from tfcap.features.manifest import FeatureManifest

SPEC = FeatureSpec(
    dataset="f" * 64,
    split="train",
    encoder=EncoderIdentity("mobilenet_v3_small", 64, "0" * 64),
    picture=PictureSpec(size=64),
    augment=AugmentSpec(crop=0.2),
    views=3,
)


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "e" * 64},
        {"split": "val"},
        {"encoder": dataclasses.replace(SPEC.encoder, network="mobilenet_v3_large")},
        {"encoder": dataclasses.replace(SPEC.encoder, weights="1" + "0" * 63)},
        {
            "encoder": dataclasses.replace(SPEC.encoder, size=96),
            "picture": PictureSpec(size=96),
        },
        {"picture": PictureSpec(size=64, quality=91)},
        {"augment": AugmentSpec(crop=0.2, flip=False)},
        {"augment": AugmentSpec(crop=0.3)},
        {"augment": AugmentSpec(crop=0.2, colour=0.1)},
        {"views": 4},
        {"version": 2},
    ],
)
def test_the_key_changes_with_whatever_the_features_follow_from(changes):
    assert dataclasses.replace(SPEC, **changes).digest() != SPEC.digest()


def test_every_field_of_the_key_is_tried_above():
    names = {field.name for field in dataclasses.fields(FeatureSpec)}
    assert names == {"dataset", "split", "encoder", "picture", "augment", "views", "version"}


def test_the_key_of_a_cache_is_fixed_for_ever():
    # Were it to change, features would be written anew that are there already.
    assert SPEC.digest() == "9edd511dabfd60bc"


def test_a_spec_comes_back_from_its_fields():
    assert FeatureSpec.from_dict(SPEC.to_dict()) == SPEC


@pytest.mark.parametrize(
    ("augment", "views", "stored"),
    [
        (None, 5, 1),
        (AugmentSpec(flip=False), 5, 1),
        (AugmentSpec(flip=True), 5, 2),
        (AugmentSpec(crop=0.1), 5, 5),
        (AugmentSpec(flip=False, colour=0.1), 1, 1),
    ],
)
def test_only_what_is_drawn_has_as_many_views_as_asked_for(dataset, augment, views, stored):
    spec = FeatureSpec.of(dataset.manifest, "train", SPEC.encoder, augment, views)
    assert spec.views == stored


@pytest.mark.parametrize(
    "changes", [{"views": 0}, {"augment": AugmentSpec()}, {"picture": PictureSpec(size=96)}]
)
def test_a_spec_whose_parts_do_not_fit_is_refused(changes):
    with pytest.raises(ValueError, match=r"views is|takes 64 pixels, pictures have 96"):
        dataclasses.replace(SPEC, **changes)


def test_an_encoder_is_known_by_its_weights_and_not_by_the_names_of_its_layers():
    def build(seed):
        keras.utils.set_random_seed(seed)
        pixels = keras.Input((8, 8, 3))
        return keras.Model(pixels, keras.layers.Conv2D(2, 3)(pixels))

    one, again, other = (identify_encoder("tiny", build(seed)) for seed in (1, 1, 2))
    assert (one.network, one.size) == ("tiny", 8)
    assert one == again != other
    changed = build(1)
    changed.weights[-1].assign_add([0.0, 1e-30])
    assert identify_encoder("tiny", changed) != one


def test_a_manifest_comes_back_from_its_text_and_an_edited_one_does_not():
    manifest = FeatureManifest(SPEC, (2, 2, 576), ())
    text = manifest.to_json()
    assert FeatureManifest.from_json(text) == manifest
    for broken in (text[:-3], "[]", "{}", text.replace("576", "288"), text.replace('"', "")):
        with pytest.raises(ValueError, match=r"was edited|is no manifest"):
            FeatureManifest.from_json(broken)
