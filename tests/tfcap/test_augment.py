import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfcap.augment import AugmentSpec, augment, change_colours, crop_box

SIDE = 12
ALL = AugmentSpec(flip=True, crop=0.4, colour=0.3)
TEXTS = tf.constant(["a dog runs", "leftover bright"])
seeds = st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1))
few = settings(max_examples=25)


def picture(number=0, side=SIDE):
    generator = np.random.default_rng(number)
    return tf.constant(generator.integers(0, 256, (side, side, 3), dtype=np.uint8))


def vary(image, seed, spec, texts=TEXTS):
    return augment(image, texts, tf.constant(seed, tf.int64), spec).numpy()


def is_flipped(spec, seed, texts=TEXTS):
    image = picture()
    flipped = vary(image, seed, spec, texts)
    assert (flipped == image.numpy()).all() or (flipped == image.numpy()[:, ::-1]).all()
    return bool((flipped != image.numpy()).any())


@few
@given(seeds, st.integers(0, 5))
def test_the_same_seed_gives_the_same_pixels(seed, number):
    first, again = (vary(picture(number), seed, ALL) for _ in range(2))
    assert first.dtype == np.uint8 and first.shape == (SIDE, SIDE, 3)
    np.testing.assert_array_equal(first, again)


def test_both_numbers_of_the_seed_count():
    variants = {vary(picture(), seed, ALL).tobytes() for seed in [(1, 1), (1, 2), (2, 1), (2, 2)]}
    assert len(variants) == 4


@few
@given(seeds)
def test_nothing_to_vary_returns_the_picture_itself(seed):
    image = picture()
    assert augment(image, TEXTS, seed, AugmentSpec(flip=False)) is image
    assert not AugmentSpec(flip=False)


def test_flips_are_fair():
    # Four standard deviations of a binomial with n=400, p=1/2.
    assert abs(sum(is_flipped(AugmentSpec(), (1, i)) for i in range(400)) - 200) < 40


@pytest.mark.parametrize("caption", ["left", "a man on the right .", "turns Right", "left-hand"])
def test_pictures_are_never_flipped_where_a_caption_speaks_of_sides(caption):
    texts = tf.constant(["a dog runs", caption])
    assert not any(is_flipped(AugmentSpec(), (1, i), texts) for i in range(40))


def test_pictures_without_a_caption_are_flipped_too():
    assert any(is_flipped(AugmentSpec(), (1, i), tf.constant([], tf.string)) for i in range(40))


@few
@given(seeds)
def test_one_kind_does_not_change_what_another_draws(seed):
    """Of the four combinations of flip and crop, one of each is mirrored or none."""
    image = picture()
    cropped = vary(image, seed, AugmentSpec(flip=False, crop=0.5))
    both = vary(image, seed, AugmentSpec(flip=True, crop=0.5))
    flipped = vary(image, seed, AugmentSpec(flip=True))
    mirrored = (flipped != image.numpy()).any()
    np.testing.assert_array_equal(both, cropped[:, ::-1] if mirrored else cropped)


@few
@given(seeds, st.floats(0.01, 0.99), st.integers(32, 299))
def test_a_crop_lies_within_the_picture(seed, crop, side):
    draws = tf.random.stateless_uniform([8], tf.constant(seed, tf.int64))
    start, size = (values.numpy() for values in crop_box(draws, side, crop))
    assert (start >= 0).all() and (size >= 1).all() and (start + size <= side).all()


def test_crops_are_spread_as_they_should_be():
    side, crop = 1000, 0.5
    draws = tf.random.stateless_uniform([1000, 8], [1, 2])
    boxes = tf.vectorized_map(lambda row: crop_box(row, side, crop), draws)
    starts, sizes = (part.numpy().astype(float) for part in boxes)
    areas = np.prod(sizes, axis=1) / side**2
    # Uniform in [1/2, 1]: mean 3/4, standard error 0.0046 of a thousand.
    assert 0.499 < areas.min() < 0.52 and 0.98 < areas.max() <= 1
    assert abs(areas.mean() - 0.75) < 0.02
    ratios = np.log(sizes[:, 1] / sizes[:, 0])
    assert np.abs(ratios).max() < np.log(4 / 3) + 0.01 and abs(ratios.mean()) < 0.02
    assert ratios.max() > 0.25 and ratios.min() < -0.25
    places = starts / np.maximum(side - sizes, 1)
    assert (np.abs(places.mean(axis=0) - 0.5) < 0.05).all()
    assert abs(np.corrcoef(places.T)[0, 1]) < 0.15


@few
@given(seeds, st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_a_picture_of_one_colour_keeps_it_under_crops(seed, red, green, blue):
    image = tf.constant(np.full((SIDE, SIDE, 3), [red, green, blue], np.uint8))
    assert (vary(image, seed, AugmentSpec(crop=0.7)) == image.numpy()).all()


def test_a_crop_shows_a_part_enlarged():
    """Of a picture whose rows and columns count up, a crop is a part of that count, stretched."""
    ramp = np.arange(SIDE, dtype=np.uint8) * 20
    image = tf.constant(np.stack([*np.meshgrid(ramp, ramp), np.zeros((SIDE, SIDE))], 2), tf.uint8)
    varied = vary(image, (3, 4), AugmentSpec(flip=False, crop=0.6)).astype(int)
    columns, rows = varied[..., 0], varied[..., 1]
    assert (columns == columns[:1]).all() and (rows == rows[:, :1]).all()
    assert (np.diff(columns[0]) >= 0).all() and (np.diff(rows[:, 0]) >= 0).all()
    shown = np.ptp(columns[0]) * np.ptp(rows[:, 0]) / (20 * (SIDE - 1)) ** 2
    assert 0.2 < shown < 0.9


@pytest.mark.parametrize("value", [0, 255])
def test_colours_beyond_white_and_black_are_cut_off(value):
    image = picture().numpy()
    image[:6] = value
    varied = np.stack([vary(tf.constant(image), (1, i), ALL) for i in range(20)])
    assert varied.dtype == np.uint8
    assert (np.abs(varied[:, :3].astype(int) - value) < 140).all()  # nothing wraps around


def test_colours_change_as_torchvision_defines_it():
    """Blending step by step with black, with the mean grey, with the grey self."""
    pixels = picture(2).numpy().astype(np.float64) / 2 + 40  # nothing to be cut off
    luma = np.array([0.299, 0.587, 0.114])
    expected = pixels * 0.9
    expected = 1.2 * expected + (1 - 1.2) * (expected @ luma).mean()
    expected = 0.7 * expected + (1 - 0.7) * (expected @ luma)[..., None]
    found = change_colours(tf.constant(pixels, tf.float32), 0.9, 1.2, 0.7)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_colour_factors_stay_in_their_range():
    """Of a grey picture, contrast and saturation change nothing: what is left is brightness."""
    grey = tf.constant(np.full((SIDE, SIDE, 3), 100, np.uint8))
    spec = AugmentSpec(flip=False, colour=0.3)
    found = np.stack([vary(grey, (5, i), spec) for i in range(300)]).astype(int)
    assert (np.ptp(found, axis=(1, 2, 3)) <= 1).all()
    assert 70 <= found.min() < 74 and 126 < found.max() <= 130
    assert abs(found.mean() - 100) < 4  # standard error 1


@pytest.mark.parametrize("fields", [{"crop": -0.1}, {"crop": 1.0}, {"colour": 1}, {"colour": -1}])
def test_a_share_out_of_range_is_refused(fields):
    with pytest.raises(ValueError, match=str(next(iter(fields.values())))):
        AugmentSpec(**fields)
