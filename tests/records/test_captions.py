"""Caption cleaning: words that training, export and every language binding agree on."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.captions import CaptionSpec, clean_caption, fold_character, tokenize_caption
from records.sources import parse_captions


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("A Dog , running .", "a dog running"),
        ('a "stop" sign', "a stop sign"),
        ("the dog's ball", "the dog 's ball"),
        ("dogs' ball", "dogs ball"),
        ("a t-shirt - blue", "a t-shirt blue"),
        ("don't", "don't"),
        ("café “quoted” ’tis girl’s", "cafe quoted tis girl 's"),
        ("Straße Łódź ÆON", "strasse lodz aeon"),
        ("ﬁne ① ²", "fine 1 2"),
        ("zero\u200bwidth soft\u00adhyphen", "zerowidth softhyphen"),
        ("2 dogs,3 cats", "2 dogs 3 cats"),
        ("snow_man", "snow man"),
        ("★ 日本 !!", ""),
        ("", ""),
        ("--- '' -'-", ""),
    ],
)
def test_examples(raw, cleaned):
    assert clean_caption(raw) == cleaned


@given(st.text(max_size=60))
def test_cleaning_twice_changes_nothing(raw):
    assert clean_caption(clean_caption(raw)) == clean_caption(raw)


@given(st.text("as'-_ .,\"tS’é", max_size=16))
def test_cleaning_twice_changes_nothing_around_quotes_and_hyphens(raw):
    assert clean_caption(clean_caption(raw)) == clean_caption(raw)


@given(st.text(max_size=60))
def test_words_are_plain(raw):
    for word in tokenize_caption(raw):
        assert re.fullmatch(r"[a-z0-9]+(['-]+[a-z0-9]+)*|'s", word)


@given(st.characters(exclude_categories=["Cs"]))
def test_folds_are_lower_case_ascii(character):
    fold = fold_character(character)
    assert fold.isascii() and fold == fold.lower()


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("½ cup", "1 2 cup"),
        ("Ｆｕｌｌ café ﬁne", "full cafe fine"),
        ("the dog’s ball★red", "the dog 's ball red"),
        ("soft\u00adhyphen, 犬 한", "softhyphen"),
    ],
)
def test_other_characters_fold_to_ascii_or_blanks(raw, cleaned):
    assert clean_caption(raw) == cleaned


def test_min_words_is_checked():
    with pytest.raises(ValueError, match="min_words"):
        CaptionSpec(min_words=0)


def test_real_captions_are_stable_and_keep_their_words(shared):
    content = (shared / "flickr8k" / "captions.txt").read_bytes()
    captions = [row.caption for row in parse_captions(content, "captions.txt")]
    assert len(captions) == 35_455
    for caption in captions:
        cleaned = clean_caption(caption)
        assert clean_caption(cleaned) == cleaned
        letters = re.sub(r"[^a-z0-9]", "", caption.lower())
        if caption.isascii():
            assert re.sub(r"[^a-z0-9]", "", cleaned) == letters, caption
    assert sum(not clean_caption(caption) for caption in captions) == 0
