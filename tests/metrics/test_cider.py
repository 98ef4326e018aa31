import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcap.metrics.cider import CiderReferences, DocumentFrequencies

WORDS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=8)
OTHER = {"other": [["x", "y"]]}


def test_document_frequency_counts_pictures_not_occurrences():
    frequencies = DocumentFrequencies.count([[["a", "a"], ["a"]], [["a", "b"]]])
    assert frequencies.pictures == 2
    assert frequencies.counts == {("a",): 2, ("a", "a"): 1, ("b",): 1, ("a", "b"): 1}
    assert frequencies.inverse[("b",)] == pytest.approx(math.log(2))
    assert frequencies.inverse[("a",)] == 0


def test_hand_worked_score():
    # Every n-gram of the reference is unique to the picture, so each weighs count * log 2.
    references = CiderReferences({"p": [["a", "b", "c"]]} | OTHER)
    # Words: 2 of 2 and 3 match; pairs: 1 of 1 and 2; no longer n-gram. One word shorter.
    cosines = (2 / math.sqrt(2 * 3), 1 / math.sqrt(1 * 2), 0, 0)
    expected = 10 * sum(cosines) / 4 * math.exp(-1 / 72)
    assert references.score("p", ["a", "b"]) == pytest.approx(expected)


def test_repetition_is_clipped():
    references = CiderReferences({"p": [["a"]]} | OTHER)
    # The weight of "a" counts once of six times: 1 * 1 / (6 * 1); the caption has 5 pairs more.
    expected = 10 * (1 / 6) / 4 * math.exp(-25 / 72)
    assert references.score("p", ["a"] * 6) == pytest.approx(expected)


def test_words_of_every_picture_weigh_nothing():
    references = CiderReferences({"p": [["a", "dog"]], "q": [["a", "cat"]]})
    assert references.score("p", ["a"]) == 0
    assert references.score("p", ["dog"]) > 0


def test_document_frequencies_of_another_set_are_used():
    train = DocumentFrequencies.count([[["a"]], [["a"]], [["b"]], [["c"]]])
    references = CiderReferences({"p": [["a", "b"]]}, train)
    assert references.score("p", ["b"]) > references.score("p", ["a"]) > 0


@given(st.lists(WORDS, min_size=1, max_size=4), WORDS)
def test_bounded_and_blind_to_the_order_of_references(captions, words):
    score = CiderReferences({"p": captions} | OTHER).score("p", words)
    reverse = CiderReferences({"p": captions[::-1]} | OTHER).score("p", words)
    assert score == pytest.approx(reverse)
    assert 0 <= score <= 10 + 1e-9


@given(WORDS, WORDS)
def test_no_caption_beats_the_only_reference(reference, words):
    references = CiderReferences({"p": [reference]} | OTHER)
    assert references.score("p", words) <= references.score("p", reference) + 1e-9


@given(WORDS.filter(lambda words: len(words) >= 4))
def test_the_only_reference_itself_scores_ten(words):
    assert CiderReferences({"p": [words]} | OTHER).score("p", words) == pytest.approx(10)
