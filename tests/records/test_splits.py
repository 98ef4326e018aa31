"""Split files, splits by hash, and the names of splits."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.errors import UserError
from records.shards import shard_of
from records.splits import HashSplits, canonical_split, parse_keys, parse_splits

KEYS = [f"{number}.jpg" for number in range(10_000)]
EIGHTY_TEN_TEN = HashSplits((("train", 0.8), ("val", 0.1), ("test", 0.1)))


def test_splits_that_are_there_are_read():
    files = {
        "train": [b"a.jpg\r\n", b"b.jpg\r\n", b"\r\n"],
        "val": [b"\n", b"  c.jpg  \n", b"c.jpg"],
    }
    assert parse_splits(files, "dir") == {"a.jpg": "train", "b.jpg": "train", "c.jpg": "val"}


def test_no_split_file_at_all():
    with pytest.raises(UserError, match=r"no split file in dir.*Flickr_8k\.trainImages\.txt"):
        parse_splits({}, "dir")


def test_a_picture_in_two_splits_is_refused():
    with pytest.raises(UserError, match=r"b\.jpg is in two splits of dir, train and test"):
        parse_splits({"train": [b"a.jpg\n", b"b.jpg\n"], "test": [b"b.jpg\n"]}, "dir")


@pytest.mark.parametrize("line", [b"../a.jpg", b"x/a.jpg", b"caf\xe9.jpg", b"a\x00.jpg"])
def test_hostile_lines_are_named(line):
    with pytest.raises(UserError, match=r"ids\.txt, line 3"):
        list(parse_keys([b"a.jpg\n", b"\n", line + b"\n"], "ids.txt"))


@pytest.mark.parametrize(
    "ratios", [(("train", 0.8), ("val", 0.1), ("test", 0.1)), (("a", 0.01), ("b", 0.99))]
)
def test_hash_splits_have_about_their_ratios(ratios):
    splits = HashSplits(ratios)
    counts = Counter(map(splits.split_of, KEYS))
    for name, ratio in ratios:
        # Five standard deviations of a binomial count.
        assert abs(counts[name] - ratio * 1e4) < 5 * (ratio * (1 - ratio) * 1e4) ** 0.5


def test_the_hash_split_of_a_key_never_changes():
    """Golden: a change would move pictures between the splits of every dataset built anew."""
    golden = {
        "1000268201_693b08cb0e.jpg": "train",
        "日本.png": "val",
        "\ud800.jpg": "train",
        "2.jpg": "train",
        "3.jpg": "val",
        "7.jpg": "val",
        "9.jpg": "test",
        "16.jpg": "test",
    }
    assert {key: EIGHTY_TEN_TEN.split_of(key) for key in golden} == golden


def test_shards_are_filled_evenly_whatever_the_hash_split():
    counts = Counter(shard_of(key, 4) for key in KEYS if EIGHTY_TEN_TEN.split_of(key) == "val")
    assert len(counts) == 4
    assert min(counts.values()) > 180  # of about 250; five standard deviations are 68


@given(st.text(max_size=20))
def test_a_split_keeps_its_pictures_while_only_later_ratios_change(key):
    before = HashSplits.parse("test=0.1,val=0.1,train=0.8").split_of(key)
    after = HashSplits.parse("test=0.1,val=0.3,train=0.5,extra=0.1").split_of(key)
    assert (before == "test") == (after == "test")
    assert before != "val" or after == "val"


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.text(max_size=20))
def test_every_key_has_a_split_whatever_the_rounding_of_ratios(weights, key):
    ratios = tuple((f"s{index}", weight / sum(weights)) for index, weight in enumerate(weights))
    assert HashSplits(ratios).split_of(key) in dict(ratios)


def test_ratios_are_read_with_names_made_canonical():
    assert HashSplits.parse("train=0.8, Validation=0.1 ,test=1e-1") == EIGHTY_TEN_TEN


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "split '' must be"),
        ("train", "'train' is no share"),
        ("train=", "'train=' is no share"),
        ("train=x", "'train=x' is no share"),
        ("train=0.5,val=0.4", "sum to 1, got 0.9"),
        ("train=1,val=0.1", "sum to 1, got 1.1"),
        ("train=1.5,val=-0.5", "ratio of val must be above 0, got -0.5"),
        ("train=1,val=0", "ratio of val must be above 0, got 0"),
        ("train=nan", "ratio of train must be above 0, got nan"),
        ("train=inf", "sum to 1, got inf"),
        ("dev=0.5,val=0.5", "split val is there 2 times"),
        ("my set=1", "split 'my set' must be lower-case"),
    ],
)
def test_impossible_ratios_are_refused(text, complaint):
    with pytest.raises(UserError, match=complaint):
        HashSplits.parse(text)


def test_hash_splits_are_checked_however_they_are_made():
    with pytest.raises(ValueError, match="split 'Train' must be"):
        HashSplits((("Train", 1.0),))
    with pytest.raises(ValueError, match="sum to 1, got 0"):
        HashSplits(())


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("train", "train"),
        (" Dev", "val"),
        ("valid", "val"),
        ("VALIDATION", "val"),
        ("val", "val"),
        ("restval", "restval"),
        ("Test_A", "test_a"),
    ],
)
def test_split_names_become_canonical(name, canonical):
    assert canonical_split(name) == canonical


@pytest.mark.parametrize("name", ["", "../x", "my set", "1st", "trän", "a-b", "a\nb"])
def test_a_split_that_cannot_name_a_shard_is_refused(name):
    with pytest.raises(UserError, match=r"split '.*' must be lower-case letters") as error:
        canonical_split(name)
    assert "\n" not in str(error.value)
