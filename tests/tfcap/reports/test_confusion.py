from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcap.reports.confusion import (
    ABSENT,
    CATEGORIES,
    COLOURS,
    COUNTS,
    GENDERS,
    agreed_values,
    count_confusions,
    pair_values,
)

VALUES = st.lists(st.sampled_from(["red", "blue", "green", "black"]), unique=True)


@pytest.mark.parametrize("category", CATEGORIES, ids=lambda category: category.name)
def test_a_word_means_one_value(category):
    words = Counter(word for words in category.values.values() for word in words)
    assert set(words.values()) == {1}
    assert all(word == word.lower() for word in words)
    assert ABSENT not in category.values


@pytest.mark.parametrize(
    ("category", "caption", "values"),
    [
        (COLOURS, "a Gray dog and a red , grey ball", ["grey", "red"]),
        (COLOURS, "a redhead in the greenhouse", []),
        (COUNTS, "2 dogs meet a group of 3 in both lanes", ["two", "group", "three"]),
        (GENDERS, "a woman and her child with a man", ["female", "person", "male"]),
    ],
)
def test_what_a_caption_mentions(category, caption, values):
    assert category.mentions(caption.split()) == values


def test_references_agree_by_more_than_half():
    references = [["red", "black"], ["red"], ["black"], ["dog"]]
    assert agreed_values(COLOURS, references) == []
    assert agreed_values(COLOURS, references[:3]) == ["black", "red"]
    assert agreed_values(COLOURS, references[:1]) == ["black", "red"]


def test_what_any_reference_supports_is_no_mistake():
    references = [["red"], ["dog"], ["dog"]]
    assert agreed_values(COLOURS, references, ["red"]) == ["red"]
    assert agreed_values(COLOURS, references, ["blue"]) == []


@pytest.mark.parametrize(
    ("meant", "said", "pairs"),
    [
        ([], [], [(ABSENT, ABSENT)]),
        (["red"], ["red"], [("red", "red")]),
        (["red"], [], [("red", ABSENT)]),
        ([], ["red"], [(ABSENT, "red")]),
        (["red", "blue"], ["green", "blue"], [("blue", "blue"), ("red", "green")]),
        (["red", "blue"], ["green"], [("red", "green"), ("blue", ABSENT)]),
    ],
)
def test_pairs(meant, said, pairs):
    assert pair_values(meant, said) == pairs


@given(VALUES, VALUES)
def test_every_value_is_paired_once(meant, said):
    ours, theirs = zip(*pair_values(meant, said), strict=True)
    assert sorted(value for value in ours if value != ABSENT) == sorted(meant)
    assert sorted(value for value in theirs if value != ABSENT) == sorted(said)


def test_a_matrix_counts_what_meets():
    red, blue, none = ["red", "ball"], ["blue", "ball"], ["ball"]
    pictures = [([red, red, none], caption) for caption in (red, blue, blue, none)]
    pictures += [([none], none), ([none], ["a", "green", "ball"]), ([["white"]], ["black"])]
    confusion = count_confusions(COLOURS, pictures)
    assert confusion.values == ("black", "white", "red", "blue", "green", ABSENT)
    assert confusion.row("red") == [0, 0, 1, 2, 0, 1]
    assert confusion.row(ABSENT) == [0, 0, 0, 0, 1, 1]
    assert confusion.mistakes(5) == [("red", "blue", 2), ("white", "black", 1)]
    assert confusion.mistakes(1) == [("red", "blue", 2)]


def test_without_any_value_only_absence_is_left():
    confusion = count_confusions(COUNTS, [([["dog"]], ["cat"])])
    assert confusion.values == (ABSENT,)
    assert confusion.row(ABSENT) == [1]
    assert confusion.mistakes(5) == []
