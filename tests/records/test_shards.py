"""Shard names and the assignment of keys to shards."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.shards import ShardName, shard_of

WORD = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True)


@given(WORD, WORD, st.integers(0, 200_000), st.integers(1, 200_000))
def test_format_and_parse_agree(dataset, split, index, more):
    name = ShardName(dataset, split, index, index + more)
    assert ShardName.parse(str(name)) == name


def test_the_name_of_the_contract():
    assert str(ShardName("flickr8k", "train", 3, 12)) == "flickr8k-train.tfrecord-00003-of-00012"


@pytest.mark.parametrize(
    "name",
    [
        "flickr8k-train.tfrecord-00012-of-00012",
        "flickr8k-train.tfrecord-0003-of-0012",
        "flickr8k-train.tfrecord-000003-of-00012",
        "flickr8k-train.tfrecord-00003-of-00012.tmp",
        "flickr8k-train.tfrecord-00003-of-00012\n",
        "Flickr8k-train.tfrecord-00003-of-00012",
        "../x-train.tfrecord-00003-of-00012",
        "flickr8k-train.tfrecord-٠٠٠٠٣-of-00012",
        "vocab.txt",
        "",
    ],
)
def test_other_names_are_refused(name):
    with pytest.raises(ValueError):
        ShardName.parse(name)


def test_assignment_is_fixed_for_ever():
    # A change of these numbers would reshuffle every published dataset.
    keys = ("1000268201_693b08cb0e.jpg", "a.jpg", "é.png")
    assert [shard_of(key, 12) for key in keys] == [0, 10, 11]


def test_assignment_is_even():
    sizes = Counter(shard_of(f"{number}.jpg", 8) for number in range(8000))
    assert len(sizes) == 8
    # Five standard deviations of a binomial with n=8000, p=1/8.
    assert all(abs(size - 1000) < 5 * 29.6 for size in sizes.values())
