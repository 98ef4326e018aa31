"""The search for close hashes finds what comparing all pairs finds."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.audit.neighbours import HASH_BITS, close_pairs

HASH = st.integers(0, 2**HASH_BITS - 1)


def brute_force(hashes, radius):
    pairs = itertools.combinations(enumerate(hashes), 2)
    distances = ((i, j, (a ^ b).bit_count()) for (i, a), (j, b) in pairs)
    return [found for found in distances if found[2] <= radius]


@st.composite
def hashes_with_neighbours(draw):
    hashes = draw(st.lists(HASH, min_size=1, max_size=12))
    for _ in range(draw(st.integers(0, 12))):
        flipped = draw(st.sets(st.integers(0, HASH_BITS - 1), max_size=16))
        near = draw(st.sampled_from(hashes)) ^ sum(1 << bit for bit in flipped)
        hashes.insert(draw(st.integers(0, len(hashes))), near)
    return hashes


@given(hashes_with_neighbours(), st.integers(0, 14))
def test_all_close_pairs_are_found_and_no_others(hashes, radius):
    assert close_pairs(hashes, radius) == brute_force(hashes, radius)


@given(HASH, st.integers(0, 14), st.randoms(use_true_random=False))
def test_the_radius_itself_is_within_wherever_the_bits_are(value, radius, random):
    """Also where the flipped bits are spread as evenly over the bands as they can be."""
    spread = [round(position * HASH_BITS / (radius + 1)) for position in range(radius + 1)]
    for bits in (spread, random.sample(range(HASH_BITS), radius + 1)):
        beyond = value ^ sum(1 << bit for bit in bits)
        on_it = beyond ^ 1 << bits[-1]
        assert close_pairs([value, on_it], radius) == [(0, 1, radius)]
        assert close_pairs([value, beyond], radius) == []


@pytest.mark.parametrize("radius", [-1, 64])
def test_a_radius_outside_the_hash_is_refused(radius):
    with pytest.raises(ValueError, match=str(radius)):
        close_pairs([], radius)
