import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcap.metrics.rouge import longest_common_subsequence, rouge_l

CAPTIONS = st.lists(st.sampled_from("abc"), max_size=7)


def subsequences(words):
    for size in range(len(words) + 1):
        yield from itertools.combinations(words, size)


@given(CAPTIONS, CAPTIONS)
def test_the_longest_common_subsequence_is_the_longest_of_all(one, other):
    common = set(subsequences(one)) & set(subsequences(other))
    assert longest_common_subsequence(one, other) == max(map(len, common))


@given(CAPTIONS.filter(bool), st.lists(CAPTIONS.filter(bool), min_size=1, max_size=3))
def test_a_reference_itself_scores_all_points(caption, others):
    assert rouge_l([*others, caption], caption) == pytest.approx(100)


def test_precision_and_recall_may_be_of_different_references():
    # Precision 2/2 of the first, recall 1/1 of the second.
    assert rouge_l([["a", "x", "b"], ["b"]], ["a", "b"]) == pytest.approx(100)


def test_nothing_in_common_is_nothing():
    assert rouge_l([["a"], []], ["b"]) == rouge_l([["a"]], []) == 0
