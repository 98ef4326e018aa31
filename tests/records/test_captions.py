"""Caption cleaning: words that training, export and every language binding agree on."""

import csv
import re
import string
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.captions import (
    DIGITS,
    NORMALISATIONS,
    PUNCTUATIONS,
    CaptionSpec,
    clean_caption,
    fold_character,
    tokenize_caption,
)

SPECS = st.builds(
    CaptionSpec,
    normalisation=st.sampled_from(NORMALISATIONS),
    lowercase=st.booleans(),
    punctuation=st.sampled_from(PUNCTUATIONS),
    digits=st.sampled_from(DIGITS),
)
# Where the rules meet: possessives, stray and inner quotes and hyphens, marks, digits.
RAW = st.text(max_size=60) | st.text("aSs'-_ .,\"t1S’é—İ٣ि!", max_size=16)


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


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("كلب يجري، في الحديقة؟", "كلب يجري في الحديقة"),
        ("एक कुत्ता दौड़ रहा है।", "एक कुत्ता दौड़ रहा है"),
        ("一只 狗。", "一只 狗"),
        ("İstanbul'da ÇOCUKLAR", "istanbul'da çocuklar"),
        ("Café “Größe” L’homme", "café größe l'homme"),
        ("ＦＵＬＬ ﬁne ①", "full fine 1"),
        ("5´ ❤️ dogs", "5 dogs"),
        ("1️⃣ dog 🏃‍♀️", "1 dog"),
        ("the girl’s ΟΔΟΣ", "the girl 's οδοσ"),
        ("soft\u00adhyphen", "softhyphen"),
    ],
)
def test_unicode_keeps_the_words_of_every_script(raw, cleaned):
    assert clean_caption(raw, CaptionSpec(normalisation="unicode")) == cleaned


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("A dog, running!!", "a dog , running ! !"),
        ("“stop” – (sign)", '" stop " - ( sign )'),
        ("the dog's t-shirt", "the dog 's t-shirt"),
        ("dogs' 'tis -- don't", "dogs ' ' tis - - don't"),
        ("a--b a---b ''s", "a - - b a - - - b ' 's"),
        ("snow_man ★ 5%", "snow _ man 5 %"),
    ],
)
def test_kept_marks_are_words_except_inside_words(raw, cleaned):
    assert clean_caption(raw, CaptionSpec(punctuation="keep")) == cleaned


@pytest.mark.parametrize(
    ("spec", "cleaned"),
    [
        (CaptionSpec(), "1st of 1 2 t-1000"),
        (CaptionSpec(digits="mask"), "0st of 0 0 t-0000"),
        (CaptionSpec(digits="drop"), "st of t"),
        (CaptionSpec(digits="mask", normalisation="unicode"), "0st of 0 0 t-0000"),
    ],
)
def test_digits_stay_are_masked_or_go(spec, cleaned):
    assert clean_caption("1st of ½ T-1000", spec) == cleaned


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("digits", ["mask", "drop"])
@given(raw=st.text("a'-٣५１²Ⅷ〇7", max_size=20))
def test_no_digit_is_left_but_the_mask(normalisation, digits, raw):
    cleaned = clean_caption(raw, CaptionSpec(normalisation=normalisation, digits=digits))
    numbers = {c for c in cleaned if unicodedata.category(c).startswith("N")}
    assert numbers <= ({"0"} if digits == "mask" else set())


def test_capitals_stay_where_they_are_wanted():
    raw = "The DOG'S Æon, Łódź and the Girl’s ÉCLAIR"
    kept = clean_caption(raw, CaptionSpec(lowercase=False))
    assert kept == "The DOG 'S AEon Lodz and the Girl 's ECLAIR"
    assert kept.lower() == clean_caption(raw)
    assert clean_caption("ÇIĞ Ａ", CaptionSpec(lowercase=False, normalisation="unicode")) == "ÇIĞ A"


@given(SPECS, RAW)
def test_cleaning_twice_changes_nothing(spec, raw):
    cleaned = clean_caption(raw, spec)
    assert clean_caption(cleaned, spec) == cleaned


@pytest.mark.parametrize(
    "spec",
    [CaptionSpec(), CaptionSpec(normalisation="unicode", punctuation="keep")],
    ids=["default", "unicode"],
)
def test_folding_any_character_twice_changes_nothing_but_blanks(spec):
    characters = map(chr, range(sys.maxunicode + 1))
    assigned = (c for c in characters if unicodedata.category(c) not in ("Cn", "Co", "Cs"))
    for fold in {fold_character(character, spec) for character in assigned}:
        again = "".join(fold_character(character, spec) for character in fold)
        assert again.split() == fold.split()


@given(SPECS, RAW)
def test_words_are_what_blanks_separate(spec, raw):
    words = tokenize_caption(raw, spec)
    assert clean_caption(raw, spec).split() == words
    marks = set(string.punctuation) if spec.punctuation == "keep" else set()
    for word in words:
        assert word in marks or re.fullmatch(
            r"[^\W_]+(['-][^\W_]+)*|'[sS](['-][^\W_]+)*", bare(word)
        )


def bare(word):
    """Return a word with each combining mark, which `re` takes for no letter, as a letter."""
    return "".join("m" if unicodedata.category(c)[0] == "M" else c for c in word)


@given(st.text(max_size=60))
def test_words_are_plain(raw):
    for word in tokenize_caption(raw):
        assert re.fullmatch(r"[a-z0-9]+(['-][a-z0-9]+)*|'s(['-][a-z0-9]+)*", word)


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


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 1},
        {"version": 2.0},
        {"normalisation": "nfc"},
        {"normalisation": None},
        {"lowercase": 1},
        {"punctuation": "mask"},
        {"digits": ["keep"]},
        {"min_words": 0},
        {"min_words": True},
        {"max_words": 0},
        {"max_words": "50"},
        {"min_count": 2.5},
    ],
)
def test_wrong_values_are_named(fields):
    (name, value), *_ = fields.items()
    with pytest.raises(ValueError, match=rf"^{name} must be .*got {re.escape(repr(value))}$"):
        CaptionSpec.from_dict(fields)


def test_limits_that_exclude_each_other_are_refused():
    with pytest.raises(ValueError, match="min_words must be at most max_words, 3, got 4"):
        CaptionSpec(min_words=4, max_words=3)


def test_a_spec_comes_back_from_its_fields_and_unknown_fields_are_refused():
    spec = CaptionSpec(normalisation="unicode", digits="mask", max_words=40)
    assert CaptionSpec.from_dict(spec.to_dict()) == spec
    assert spec.digest() != CaptionSpec().digest()
    with pytest.raises(TypeError, match="stemming"):
        CaptionSpec.from_dict({"stemming": True})


def test_real_captions_are_stable_and_keep_their_words(shared):
    with (shared / "flickr8k" / "captions.txt").open(encoding="utf-8", newline="") as file:
        captions = [row["caption"] for row in csv.DictReader(file)]
    assert len(captions) == 35_455
    for caption in captions:
        cleaned = clean_caption(caption)
        assert clean_caption(cleaned) == cleaned
        letters = re.sub(r"[^a-z0-9]", "", caption.lower())
        if caption.isascii():
            assert re.sub(r"[^a-z0-9]", "", cleaned) == letters, caption
    assert sum(not clean_caption(caption) for caption in captions) == 0
