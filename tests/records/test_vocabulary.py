"""The vocabulary and its file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.errors import UserError
from records.vocabulary import (
    END_ID,
    PAD_ID,
    SPECIALS,
    START_ID,
    UNK_ID,
    Vocabulary,
    build_vocabulary,
)

WORD = st.from_regex(r"[a-z0-9'-]{1,8}", fullmatch=True)
COUNTS = st.dictionaries(WORD, st.integers(1, 20), max_size=20)


def test_order_is_by_count_then_by_word():
    counts = {"dog": 7, "a": 9, "cat": 7, "rare": 4, "zebra": 5}
    assert build_vocabulary(counts, 5).words == (*SPECIALS, "a", "cat", "dog", "zebra")


def test_ids_of_special_tokens_are_fixed():
    assert (PAD_ID, UNK_ID, START_ID, END_ID) == (0, 1, 2, 3)
    assert SPECIALS == ("<pad>", "<unk>", "<start>", "<end>")


@given(COUNTS, st.integers(1, 10))
def test_encode_and_decode_agree_on_known_words(counts, min_count):
    vocabulary = build_vocabulary(counts, min_count)
    known = [word for word in counts if counts[word] >= min_count]
    assert vocabulary.decode(vocabulary.encode(known)) == known
    rare = [word for word in counts if counts[word] < min_count]
    assert vocabulary.encode(rare) == [UNK_ID] * len(rare)
    assert vocabulary.decode([PAD_ID, UNK_ID, START_ID, END_ID]) == []


@given(COUNTS)
def test_the_order_of_counting_does_not_show(counts):
    backwards = dict(reversed(counts.items()))
    assert build_vocabulary(counts, 1) == build_vocabulary(backwards, 1)


@given(COUNTS)
def test_file_round_trip(tmp_path_factory, counts):
    vocabulary = build_vocabulary(counts, 1)
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text(vocabulary.to_text())
    assert Vocabulary.read(path) == vocabulary


GOOD = "<pad>\n<unk>\n<start>\n<end>\ndog\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"dog\ncat\n",
        b"<unk>\n<pad>\n<start>\n<end>\n",
        GOOD.encode() + b"dog\n",
        GOOD.encode() + b"\n",
        GOOD.encode() + b"two words\n",
        GOOD.encode() + b"cut sho",
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.encode() + b"\xff\n",
    ],
)
def test_malformed_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"vocab\.txt is no vocabulary"):
        Vocabulary.read(path)


def test_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"vocab\.txt is no vocabulary"):
        Vocabulary.read(tmp_path / "vocab.txt")
