import numpy as np
import pytest

from tfcap.metrics import References
from tfcap.metrics.bleu import BleuReferences, corpus_bleu, match_caption
from tfcap.metrics.bootstrap import estimate, estimate_difference
from tfcap.metrics.per_picture import BLEU, PictureStatistics

CAPTIONS = {
    "1": ("a dog runs on grass", ["a dog runs in the grass", "the dog runs on grass fast"]),
    "2": ("two boys", ["two boys play with a ball", "boys with a ball"]),
    "3": (
        "a man in a red shirt sits on a bench",
        ["a man sits on a red bench", "a man on a bench"],
    ),
}
REFERENCES = References({picture: references for picture, (_, references) in CAPTIONS.items()})
STATISTICS = REFERENCES.statistics({picture: said for picture, (said, _) in CAPTIONS.items()})


def means(values):
    """Statistics of one metric that is a mean."""
    empty = np.zeros((len(values), 10), np.int64)
    return PictureStatistics(tuple(range(len(values))), empty, {"metric": np.array(values)})


def test_a_resample_scores_as_a_corpus_of_the_drawn_pictures_does():
    matches = {
        picture: match_caption(
            BleuReferences.prepare([r.split() for r in references]), said.split()
        )
        for picture, (said, references) in CAPTIONS.items()
    }
    resampled = STATISTICS.resampled(np.array([[2, 0, 1], [0, 3, 0]]))
    for row, drawn in enumerate([["1", "1", "3"], ["2", "2", "2"]]):
        expected = corpus_bleu(matches[picture] for picture in drawn)
        assert [resampled[name][row] for name in BLEU] == pytest.approx(expected)
        for name in ("ROUGE-L", "CIDEr-D"):
            each = STATISTICS.by_picture(name)
            assert resampled[name][row] == pytest.approx(sum(each[key] for key in drawn) / 3)


def test_the_interval_of_a_mean_is_as_wide_as_theory_has_it():
    values = np.random.default_rng(7).normal(50, 10, 400)
    found = estimate(means(values))["metric"]
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_the_value_is_that_of_all_pictures_and_the_interval_always_the_same():
    found = estimate(STATISTICS)
    assert {name: each.value for name, each in found.items()} == pytest.approx(STATISTICS.scores())
    assert all(each.low <= each.value <= each.high for each in found.values())
    assert found == estimate(STATISTICS)


def test_a_difference_is_judged_on_the_same_pictures():
    generator = np.random.default_rng(7)
    hard = generator.normal(50, 10, 400)  # what makes a picture hard, for both
    one, other = means(hard + 1 + generator.normal(0, 1, 400)), means(hard)
    found = estimate_difference(one, other)["metric"]
    assert 0.8 < found.low < found.value < found.high < 1.2
    assert estimate(one)["metric"].low < estimate(other)["metric"].high


def test_no_difference_is_none_in_every_resample():
    for each in estimate_difference(STATISTICS, STATISTICS).values():
        assert each.value == each.low == each.high == 0


def test_only_the_same_pictures_are_paired():
    with pytest.raises(ValueError, match="same pictures"):
        estimate_difference(means([1.0, 2.0]), means([1.0]))
