import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.captions import DEFAULT_CLEANING
from records.vocabulary import SPECIALS, Vocabulary
from tfcap.metrics import References
from tfcap.reports.breakdown import (
    LENGTHS,
    RANKS,
    Bucket,
    ReferenceScore,
    by_length,
    by_rarest_word,
    choose_pictures,
    picture_scores,
    score_references,
)

CAPTION = st.lists(st.sampled_from(["a", "dog", "runs", "Red", "ball", "."]), max_size=9)
CAPTION = CAPTION.map(" ".join)
PICTURES = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.tuples(st.lists(CAPTION, min_size=1, max_size=4), CAPTION),
    min_size=1,
    max_size=5,
)
VOCABULARY = Vocabulary((*SPECIALS, *(f"w{rank}" for rank in range(1, 1201))))


@given(PICTURES)
def test_references_account_for_the_score_of_their_picture(pictures):
    references = {key: texts for key, (texts, _) in pictures.items()}
    captions = {key: caption for key, (_, caption) in pictures.items()}
    scores = score_references(references, captions, DEFAULT_CLEANING)
    expected = References(references).cider_per_picture(captions)
    assert picture_scores(scores) == pytest.approx(expected)
    of_references = [score for of_picture in scores.values() for score in of_picture]
    buckets = by_length(of_references)
    assert sum(bucket.count for bucket in buckets) == len(of_references)
    total = sum(bucket.count * bucket.cider for bucket in buckets)
    mean = statistics.fmean(score.cider for score in of_references)
    assert total / len(of_references) == pytest.approx(mean)


def test_pictures_that_were_left_out_do_not_count():
    references = {"a": ["a dog runs"], "b": ["a cat sits"], "c": ["two men"]}
    captions = {"a": "a dog runs", "b": "a dog sits"}
    scores = picture_scores(score_references(references, captions, DEFAULT_CLEANING))
    of_both = {key: references[key] for key in captions}
    assert scores == pytest.approx(References(of_both).cider_per_picture(captions))


def test_a_length_belongs_to_the_bucket_that_it_ends():
    scores = [
        ReferenceScore(("a",) * words, float(words))
        for words in (0, LENGTHS[0], LENGTHS[0] + 1, LENGTHS[-1] + 1)
    ]
    assert by_length(scores) == [
        Bucket("up to 5", 2, 2.5),
        Bucket("6 to 8", 1, 6.0),
        Bucket("20 and more", 1, 20.0),
    ]


def test_the_rarest_word_decides():
    assert RANKS[:2] == (100, 300)
    scores = [
        ReferenceScore(("w1", "w100"), 1.0),
        ReferenceScore(("w101", "w2"), 2.0),
        ReferenceScore(("w300",), 4.0),
        ReferenceScore(("w1001", "w1"), 5.0),
        ReferenceScore(("w1", "zebra"), 6.0),
        ReferenceScore(("w1200", "zebra"), 7.0),
        ReferenceScore((), 9.0),
    ]
    assert by_rarest_word(scores, VOCABULARY) == [
        Bucket("up to 100", 1, 1.0),
        Bucket("101 to 300", 2, 3.0),
        Bucket("1,001 and more", 1, 5.0),
        Bucket("not in the vocabulary", 2, 6.5),
    ]


@given(
    st.dictionaries(st.text(max_size=3), st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1),
    st.integers(0, 5),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_no_picture_is_chosen_twice(scores, count, seed, random):
    best, worst, others = choice = choose_pictures(scores, count, seed)
    chosen = [*best, *worst, *others]
    assert len(chosen) == len(set(chosen)) == min(3 * count, len(scores))
    values = [scores[key] for key in best]
    assert values == sorted(scores.values(), reverse=True)[: len(best)]
    assert [scores[key] for key in worst] == sorted(scores.values())[: len(worst)]
    shuffled = list(scores)
    random.shuffle(shuffled)
    assert choose_pictures({key: scores[key] for key in shuffled}, count, seed) == choice


def test_the_seed_draws_among_equal_pictures_and_the_rest():
    equal = {f"{number}.jpg": 0.0 for number in range(99)}
    choices = [choose_pictures(equal, 5, seed) for seed in (0, 0, 1)]
    assert choices[0] == choices[1]
    assert all(ours != theirs for ours, theirs in zip(choices[0], choices[2], strict=True))
