import numpy as np
import pytest

from records.caption_rows import CaptionRow
from tfcap.retrieval.similarity import nearest


def rows(*embeddings):
    return [CaptionRow(f"{i}", "", "", 0.0, each) for i, each in enumerate(embeddings)]


def test_nearest_has_the_largest_cosines():
    vectors = np.random.default_rng(3).normal(size=(50, 8)).astype(np.float32)
    wanted = np.arange(8) - 3.0
    found = nearest(wanted, rows(*map(tuple, vectors.tolist())), 5)
    cosines = vectors @ wanted / np.linalg.norm(vectors, axis=1) / np.linalg.norm(wanted)
    best = np.argsort(-cosines)[:5]
    assert [int(row.path) for row, _ in found] == best.tolist()
    assert [cosine for _, cosine in found] == pytest.approx(cosines[best])


def test_length_does_not_count_and_zeros_are_near_nothing():
    found = nearest((1.0, 1.0), rows((-1.0, -1.0), (0.0, 0.0), (9.0, 9.0), (0.1, 0.1)), 9)
    assert [(row.path, round(cosine, 6)) for row, cosine in found] == [
        ("2", 1), ("3", 1), ("1", 0), ("0", -1),
    ]  # fmt: skip
