import csv
import functools
import sys

import hypothesis.strategies as st
import pytest
import tensorflow as tf
from hypothesis import given, settings

from records.captions import CaptionSpec, clean_caption, tokenize_caption
from records.vocabulary import END_ID, PAD_ID, SPECIALS, START_ID, UNK_ID, Vocabulary
from tfcap.text import (
    CaptionCleaner,
    CaptionIds,
    split_words_core,
    split_words_text,
    teacher_forcing,
)

VOCABULARY = Vocabulary((*SPECIALS, "a", "dog", "'s", "t-shirt"))
DEFAULT = CaptionSpec()
UNICODE = CaptionSpec(normalisation="unicode", punctuation="keep", digits="mask")
CAPITALS = CaptionSpec(lowercase=False, punctuation="keep", digits="drop")
# Every pair of choices is in one of them.
SPECS = (
    DEFAULT,
    UNICODE,
    CAPITALS,
    CaptionSpec(lowercase=False, digits="mask"),
    CaptionSpec(normalisation="unicode", digits="drop"),
    CaptionSpec(normalisation="unicode", lowercase=False, punctuation="keep"),
)
# Lone surrogates are no text: they cannot be written as UTF-8.
CHARACTERS = st.characters(exclude_categories=["Cs"])
RAW = st.text(CHARACTERS) | st.text("aSs'-_ .,\"t1S’é—İ٣ि!\n", max_size=16)

cleaner = functools.cache(CaptionCleaner)  # its table takes a while to build


def cleaned(captions, spec=DEFAULT):
    return [text.decode() for text in cleaner(spec).clean(tf.constant(captions)).numpy()]


@given(st.sampled_from(SPECS), st.lists(RAW, min_size=1, max_size=20))
@settings(max_examples=300, deadline=None)
def test_graph_cleans_and_splits_as_python_whatever_the_spec(spec, captions):
    graph = cleaned(captions, spec)
    assert graph == [clean_caption(caption, spec) for caption in captions]
    words = [tokenize_caption(caption, spec) for caption in captions]
    for split_words in (split_words_core, split_words_text):
        split = split_words(tf.constant(graph)).to_list()
        assert [[word.decode() for word in row] for row in split] == words


@pytest.mark.parametrize("spec", [DEFAULT, UNICODE], ids=["default", "unicode"])
def test_graph_cleans_every_character_as_python(spec):
    characters = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
    pieces = [f"a{character}'s-b" for character in characters]
    captions = [" ".join(pieces[first : first + 100]) for first in range(0, len(pieces), 100)]
    assert cleaned(captions, spec) == [clean_caption(caption, spec) for caption in captions]


@pytest.mark.parametrize(
    "spec", [DEFAULT, UNICODE, CAPITALS], ids=["default", "unicode", "capitals"]
)
def test_graph_cleans_every_real_caption_as_python(shared, spec):
    with (shared / "flickr8k" / "captions.txt").open(encoding="utf-8", newline="") as file:
        captions = [row["caption"] for row in csv.DictReader(file)]
    assert cleaned(captions, spec) == [clean_caption(caption, spec) for caption in captions]


@pytest.mark.parametrize("spec", [DEFAULT, UNICODE], ids=["default", "unicode"])
def test_bytes_that_are_no_utf8_become_blanks(spec):
    assert cleaned([b"a\xff\xfedog", b"\x80"], spec) == ["a dog", ""]


@pytest.mark.parametrize("split_words", [split_words_core, split_words_text])
def test_ids_of_words_and_back(split_words):
    ids = CaptionIds(VOCABULARY, split_words)
    encoded = ids.encode(tf.constant(["a dog 's t-shirt", "", "a zebra"]))
    assert encoded.to_list() == [[4, 5, 6, 7], [], [4, UNK_ID]]
    assert encoded.to_list()[0] == VOCABULARY.encode(["a", "dog", "'s", "t-shirt"])
    padded = tf.constant([[4, 5, 6, END_ID, PAD_ID], [START_ID, 4, UNK_ID, 7, END_ID]])
    assert ids.decode(padded).numpy().tolist() == [b"a dog 's", b"a t-shirt"]


def test_teacher_forcing_frames_pads_and_cuts():
    ids = tf.ragged.constant([[4, 5], [], [4, 5, 6, 7]], dtype=tf.int32)
    inputs, targets = teacher_forcing(ids, max_words=3)
    assert inputs.numpy().tolist() == [[2, 4, 5, 0], [2, 0, 0, 0], [2, 4, 5, 6]]
    assert targets.numpy().tolist() == [[4, 5, 3, 0], [3, 0, 0, 0], [4, 5, 6, 7]]
