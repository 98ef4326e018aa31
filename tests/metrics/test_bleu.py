import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcap.metrics.bleu import BleuReferences, corpus_bleu, match_caption

WORDS = st.lists(st.sampled_from("abcde"), max_size=8)


def bleu(*pairs):
    """BLEU of (caption, references) pairs of strings."""
    return corpus_bleu(
        match_caption(
            BleuReferences.prepare([reference.split() for reference in references]), caption.split()
        )
        for caption, references in pairs
    )


def test_matches_are_clipped_by_the_largest_count_in_one_reference():
    scores = bleu(("the the the the", ["the cat the mat", "the hat is the"]))
    assert scores[0] == pytest.approx(50)


def test_matches_of_several_references_are_united():
    scores = bleu(("a b c d", ["a b x x", "x x c d"]))
    assert scores[:2] == pytest.approx([100, 100 * math.sqrt(2 / 3)])


def test_brevity_penalty_compares_with_the_closest_and_then_the_shorter_reference():
    assert bleu(("a b c", ["a b c d e f g", "a b c d"]))[0] == pytest.approx(
        100 * math.exp(1 - 4 / 3)
    )
    assert bleu(("a b c", ["a b c d", "a b"]))[0] == pytest.approx(100)


def test_counts_are_pooled_over_the_corpus():
    scores = bleu(("a", ["a"]), ("b c d", ["x y z"]))
    assert scores[0] == pytest.approx(25)
    assert scores[1] < 0.01


def test_empty_caption_scores_nothing():
    assert bleu(("", ["a b"])) == pytest.approx([0] * 4)


@given(st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_bounded_and_blind_to_the_order_of_references(pairs):
    def score(step):
        return corpus_bleu(
            match_caption(BleuReferences.prepare(references[::step]), caption)
            for caption, references in pairs
        )

    scores = score(1)
    assert scores == score(-1)
    assert all(0 <= value <= 100 for value in scores)


@given(st.lists(WORDS.filter(lambda words: len(words) >= 4), min_size=1, max_size=3))
def test_a_reference_itself_scores_everything(references):
    match = match_caption(BleuReferences.prepare(references), references[-1])
    assert corpus_bleu([match]) == pytest.approx([100] * 4)
