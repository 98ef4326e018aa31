"""Pictures by how near their embeddings are to that of another."""

import heapq
from collections.abc import Iterable, Sequence

import numpy as np

from records.caption_rows import CaptionRow


def nearest(
    vector: Sequence[float], rows: Iterable[CaptionRow], number: int
) -> list[tuple[CaptionRow, float]]:
    """Return the rows whose embeddings have the largest cosines with a vector.

    Args:
        vector: of C numbers.
        rows: with embeddings of C numbers; one at a time is held.
        number: of rows that are wanted.

    Returns:
        (row, cosine in -1..1), the largest first, equal ones by path; 0 for a vector of zeros.
    """
    wanted = _unit(vector)
    found = ((row, float(wanted @ _unit(row.embedding))) for row in rows)
    return heapq.nsmallest(number, found, key=lambda each: (-each[1], each[0].path))


def _unit(vector: Sequence[float]) -> np.ndarray:
    """Return float64 [C] of length 1, or all zeros."""
    vector = np.asarray(vector, np.float64)
    length = np.linalg.norm(vector)
    return vector / length if length else vector
