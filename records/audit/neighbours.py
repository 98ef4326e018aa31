"""All pairs of 64-bit hashes within a Hamming distance, without comparing all pairs."""

import itertools
from collections.abc import Iterator, Sequence

HASH_BITS = 64


def close_pairs(hashes: Sequence[int], radius: int) -> list[tuple[int, int, int]]:
    """Return (i, j, distance) with i < j for all pairs no more than `radius` bits apart, sorted.

    Multi-index hashing (Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index
    Hashing", CVPR 2012): the bits are cut into bands, and a close pair is closer still in one of
    them. Memory is linear in the hashes and in the pairs found.

    Args:
        hashes: each in 0..2**64-1.
        radius: in 0..63.
    """
    if not 0 <= radius < HASH_BITS:
        raise ValueError(f"radius must be in 0..{HASH_BITS - 1}, got {radius}")
    found = {}
    for shift, width, reach in _bands(radius):
        masks = list(_masks(width, reach))
        buckets: dict[int, list[int]] = {}
        for j, value in enumerate(hashes):
            fragment = value >> shift & (1 << width) - 1
            for mask in masks:
                for i in buckets.get(fragment ^ mask, ()):
                    distance = (value ^ hashes[i]).bit_count()
                    if distance <= radius:
                        found[i, j] = distance
            buckets.setdefault(fragment, []).append(j)
    return [(i, j, distance) for (i, j), distance in sorted(found.items())]


def _bands(radius: int) -> Iterator[tuple[int, int, int]]:
    """Cut the hash into (shift, width, reach), reach being 2 or less.

    The (reach + 1) of all bands add up to radius + 1: a pair that is farther apart than `reach` in
    every band is farther apart than `radius`.
    """
    count = radius // 3 + 1
    for band in range(count):
        shift, end = band * HASH_BITS // count, (band + 1) * HASH_BITS // count
        yield shift, end - shift, (radius - band) // count


def _masks(width: int, reach: int) -> Iterator[int]:
    """Return all numbers of `width` bits with at most `reach` ones."""
    for ones in range(reach + 1):
        for positions in itertools.combinations(range(width), ones):
            yield sum(1 << position for position in positions)
