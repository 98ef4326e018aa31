import pytest

from records.vocabulary import SPECIALS, Vocabulary
from tfcap.metrics.diversity import Training, measure_diversity

CAPTIONS = [["a", "dog", "runs"], ["a", "dog"], ["a", "cat", "runs"]]


def test_hand_worked_measures():
    found = measure_diversity(CAPTIONS)
    assert found.distinct_1 == pytest.approx(4 / 8)
    assert found.distinct_2 == pytest.approx(4 / 5)  # pairs never reach across captions
    assert found.words == 4
    assert found.mean_words == pytest.approx(8 / 3)
    assert found.novel is found.vocabulary_used is None


def test_novel_captions_and_the_vocabulary_are_those_of_the_training_split():
    vocabulary = Vocabulary((*SPECIALS, "a", "dog", "bird", "flies"))
    training = Training(frozenset(["a dog", "a dog runs fast"]), vocabulary)
    found = measure_diversity(CAPTIONS, training)
    assert found.novel == pytest.approx(2 / 3)
    assert found.vocabulary_used == pytest.approx(2 / 4)  # "cat", "runs" are not in it


def test_captions_without_words_are_no_error():
    found = measure_diversity([[]], Training(frozenset(), Vocabulary(SPECIALS)))
    assert (found.distinct_1, found.distinct_2, found.mean_words) == (0, 0, 0)
    assert (found.novel, found.vocabulary_used) == (1, 0)
