"""One numerics test for all places that the encoder can run in."""

from collections import defaultdict

import numpy as np
import pytest
import tensorflow as tf

from tfcap.augment import AugmentSpec
from tfcap.data import Order, Passes, caption_batches, encoded
from tfcap.encoders import inference_encoder
from tfcap.features import EncoderIdentity, cached_features, identify_encoder

CELLS = EncoderIdentity("cells", 64, "0" * 64)
FLIPS, PLAIN = AugmentSpec(flip=True), AugmentSpec(flip=False)
BATCH, MAX_WORDS = 8, 6


def pipeline(dataset, captioner, encode, order, augment):
    """The encoder in tf.data."""
    return list(encoded(pixel_batches(dataset, captioner, order, augment), encode))


def device(dataset, captioner, encode, order, augment):
    """The encoder in the training step."""
    step = tf.function(encode)
    return [
        {**batch, "features": step(batch["image"])}
        for batch in pixel_batches(dataset, captioner, order, augment)
    ]


def pixel_batches(dataset, captioner, order, augment):
    shards, ids = dataset.shards, captioner.ids
    return caption_batches(shards, captioner.picture, ids, MAX_WORDS, BATCH, order, augment)


def assert_equal_batches(batches, expected, tolerance=0.0):
    """The same keys and words; features differ by that share of the largest at most."""
    for batch, other in zip(batches, expected, strict=True):
        for name in ("key", "inputs", "targets"):
            np.testing.assert_array_equal(batch[name], other[name])
        atol = tolerance * np.abs(other["features"]).max()
        np.testing.assert_allclose(batch["features"], other["features"], rtol=0, atol=atol)


@pytest.fixture
def cache(dataset, encode, features):
    """A function of an augmentation that returns its stored features."""

    def build(augment, views=1, encode=encode, encoder=CELLS):
        spec = dataset.spec(augment, views, encoder)
        return cached_features(features, dataset.directory, dataset.manifest, spec, encode)

    return build


@pytest.mark.parametrize(
    ("order", "augment"),
    [
        (Order(3, 0), FLIPS),
        (Order(3, 1, skip=BATCH), FLIPS),
        (Order(3, 1), PLAIN),
        (Order(3, 2, window=16), FLIPS),
        (Order(3, 2, host=0, hosts=2), FLIPS),
        (Order(3, 2, host=1, hosts=2, skip=BATCH), FLIPS),
        (None, None),
    ],
)
def test_an_epoch_is_the_same_wherever_the_encoder_runs(
    dataset, captioner, encode, cache, order, augment
):
    expected = pipeline(dataset, captioner, encode, order, augment)
    assert_equal_batches(device(dataset, captioner, encode, order, augment), expected)
    stored = cache(augment).batches(captioner.ids, MAX_WORDS, BATCH, order)
    assert_equal_batches(stored, expected)


def test_a_real_encoder_gives_the_same_features_wherever_it_runs(dataset, captioner, cache):
    encode = inference_encoder(captioner.encoder)
    expected = pipeline(dataset, captioner, encode, Order(3, 0), FLIPS)
    # Between a batch of 8 and one of 17, the sums of a convolution may be taken in another order.
    there = device(dataset, captioner, encode, Order(3, 0), FLIPS)
    assert_equal_batches(there, expected, tolerance=1e-5)
    encoder = identify_encoder("mobilenet_v3_small", captioner.encoder)
    stored = cache(FLIPS, encode=encode, encoder=encoder)
    batches = stored.batches(captioner.ids, MAX_WORDS, BATCH, Order(3, 0))
    assert_equal_batches(batches, expected, tolerance=1e-5)


def test_flips_are_shown_and_change_from_epoch_to_epoch(dataset, captioner, cache):
    """Else the test above would compare one picture with itself."""
    stored = cache(FLIPS)

    def epoch(order):
        batches = stored.batches(captioner.ids, MAX_WORDS, BATCH, order)
        return {
            key: row
            for batch in batches
            for key, row in zip(batch["key"].numpy(), batch["features"].numpy(), strict=True)
        }

    plain, epochs = epoch(None), [epoch(Order(3, number)) for number in range(4)]
    mirrored = [{key for key in plain if (plain[key] != shown[key]).any()} for shown in epochs]
    assert all(5 < len(keys) < 25 for keys in mirrored)  # of 30 that may be
    assert len({frozenset(keys) for keys in mirrored}) == 4
    sided = {key for key in plain if int(key[:3]) % 4 == 2}
    assert not sided.intersection(*mirrored)


def test_of_drawn_views_all_are_shown_in_time(captioner, cache):
    stored, shown = cache(AugmentSpec(crop=0.5, colour=0.2), views=3), defaultdict(set)
    for number in range(6):
        for batch in stored.batches(captioner.ids, MAX_WORDS, BATCH, Order(3, number)):
            for key, row in zip(batch["key"].numpy(), batch["features"].numpy(), strict=True):
                shown[key].add(row.tobytes())
    assert len(shown) == 40
    assert max(map(len, shown.values())) == 3
    assert sum(len(views) == 3 for views in shown.values()) > 20


def test_one_dataset_shows_the_views_of_every_pass(captioner, cache):
    stored, passes = cache(AugmentSpec(crop=0.5), views=3), Passes(Order(3, 0))
    batches = stored.batches(captioner.ids, MAX_WORDS, BATCH, passes)
    for order in (Order(3, 1), Order(3, 2, skip=BATCH)):
        passes.begin(order)
        expected = stored.batches(captioner.ids, MAX_WORDS, BATCH, order)
        assert_equal_batches(batches, expected)


def test_a_resumed_epoch_shows_the_same_views(captioner, cache):
    stored = cache(AugmentSpec(crop=0.5), views=3)
    whole, rest = (
        list(stored.batches(captioner.ids, MAX_WORDS, BATCH, Order(3, 0, skip=skip)))
        for skip in (0, 2 * BATCH)
    )
    assert_equal_batches(rest, whole[2:])
