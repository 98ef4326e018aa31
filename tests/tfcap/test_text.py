import csv
import sys

import hypothesis.strategies as st
import pytest
import tensorflow as tf
from hypothesis import given, settings

from records.captions import clean_caption
from records.vocabulary import END_ID, PAD_ID, SPECIALS, START_ID, UNK_ID, Vocabulary
from tfcap.text import (
    CaptionCleaner,
    CaptionIds,
    split_words_core,
    split_words_text,
    teacher_forcing,
)

CLEANER = CaptionCleaner()
VOCABULARY = Vocabulary((*SPECIALS, "a", "dog", "'s", "t-shirt"))


def cleaned(captions):
    return [text.decode() for text in CLEANER.clean(tf.constant(captions)).numpy()]


# Lone surrogates are no text: they cannot be written as UTF-8.
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=20))
@settings(max_examples=200, deadline=None)
def test_graph_cleans_as_python(captions):
    assert cleaned(captions) == [clean_caption(caption) for caption in captions]


def test_graph_cleans_every_character_as_python():
    characters = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
    captions = [f"a{character}'s-b" for character in characters]
    assert cleaned(captions) == [clean_caption(caption) for caption in captions]


def test_graph_cleans_every_real_caption_as_python(shared):
    with (shared / "flickr8k" / "captions.txt").open(encoding="utf-8", newline="") as file:
        captions = [row["caption"] for row in csv.DictReader(file)]
    assert cleaned(captions) == [clean_caption(caption) for caption in captions]


def test_bytes_that_are_no_utf8_become_blanks():
    assert cleaned([b"a\xff\xfedog", b"\x80"]) == ["a dog", ""]


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
