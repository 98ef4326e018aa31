r"""Caption cleaning: written here in Python, and in `tfcap/text.py` as TensorFlow ops.

A caption becomes a sequence of words; a `CaptionSpec` says of what kind. Whatever it says,
hyphenated words stay whole ("t-shirt"), and the possessive is a word of its own ("dog 's"), as the
PTB tokenizer of the COCO evaluation has it.

Both implementations fold each character by itself with `fold_character`, which a graph can hold as
a table, and then apply the very same `cleaning_rules`: patterns that Python's `re` and RE2 read
alike on any text (no look-around, no \b or \w).

Folding without context has its price, in "unicode" normalisation:

- A letter and its accent as two characters stay two: another word than with the composed letter.
  Canonical composition (NFC) is the caption file's business.
- Lower case is by character: "ΟΔΟΣ" becomes "οδοσ", not "οδος"; "I" becomes "i", also where Turkish
  wants "ı" ("İ" becomes "i").
- Words are what blanks and punctuation separate: Chinese, Japanese or Thai captions have to come
  with their words set apart.

Which characters are letters is for the Unicode version of the running Python to say; an export
keeps the table that it was made with.
"""

import dataclasses
import functools
import re
import string
import unicodedata
from typing import NamedTuple

from records.specs import Spec

VERSION = 2
NORMALISATIONS = ("ascii", "unicode")
PUNCTUATIONS = ("drop", "keep")
DIGITS = ("keep", "mask", "drop")

# Typographic marks and the ASCII ones that they mean. A dash never joins two words.
MARKS = {
    "\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u2010": "-", "\u2011": "-",
    "\u2013": " - ", "\u2014": " - ", "\u201c": '"', "\u201d": '"', "\u201e": '"',
}  # fmt: skip
# Letters that NFKD leaves whole but English writes in ASCII.
LETTERS = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i",
}  # fmt: skip

# Stands for the apostrophe of a possessive while stray ones are dealt with. No caption holds one
# then: control characters fold to blanks.
_POSSESSIVE = "\x01"

_UNWRITTEN = ("Mn", "Me", "Cf")  # in ASCII: combining marks and format characters


@dataclasses.dataclass(frozen=True)
class CaptionSpec(Spec):
    """How captions are cleaned; its digest travels with every dataset, run and export.

    Attributes:
        version: raised whenever `MARKS`, `LETTERS`, `fold_character` or `cleaning_rules` change.
        normalisation: "ascii": compatibility forms and accents are folded ("café" becomes "cafe"),
            and characters without an ASCII counterpart are blanks. "unicode": the letters, digits
            and combining marks of every script stay, with compatibility forms folded.
        lowercase: whether capitals become small letters.
        punctuation: "drop": marks are blanks. "keep": every ASCII mark is a word of its own, other
            marks are blanks. An apostrophe or a hyphen between two letters or digits stays in its
            word either way.
        digits: "keep" them; "mask": each becomes "0" ("21st" becomes "00st"); "drop": each is a
            blank.
        min_words: a cleaned caption with fewer words is rejected.
        max_words: a cleaned caption with more words is rejected; None for no limit.
        min_count: a word seen less often in the training split is <unk>.
    """

    version: int = VERSION
    normalisation: str = "ascii"
    lowercase: bool = True
    punctuation: str = "drop"
    digits: str = "keep"
    min_words: int = 1
    max_words: int | None = None
    min_count: int = 5

    def __post_init__(self):
        for name, choices in (
            ("normalisation", NORMALISATIONS),
            ("punctuation", PUNCTUATIONS),
            ("digits", DIGITS),
            ("lowercase", (True, False)),
        ):
            value = getattr(self, name)
            if type(value) is not type(choices[0]) or value not in choices:
                wanted = " or ".join(map(str, choices))
                raise ValueError(f"{name} must be {wanted}, got {value!r}")
        for name in ("version", "min_words", "max_words", "min_count"):
            value = getattr(self, name)
            if name == "max_words" and value is None:
                continue
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if self.version != VERSION:
            raise ValueError(
                f"version must be {VERSION}, as this program cleans; got {self.version}"
            )
        if self.max_words is not None and self.min_words > self.max_words:
            raise ValueError(
                f"min_words must be at most max_words, {self.max_words}, got {self.min_words}"
            )


DEFAULT_CLEANING = CaptionSpec()


def fold_character(character: str, spec: CaptionSpec = DEFAULT_CLEANING) -> str:
    """Return what one character contributes to a caption: "É" -> "e", "★" -> " ".

    Invisible characters vanish; what can be in no word becomes a blank; a mark that is a word of
    its own comes with blanks around it. Folding a fold changes nothing but the number of blanks.
    """
    folds = _to_ascii(character) if spec.normalisation == "ascii" else _to_unicode(character)
    if spec.lowercase:
        # "İ" is the one character with two in lower case: "i" and a dot above it.
        folds = "".join(fold.lower()[0] for fold in folds)
    return "".join(_keep_or_blank(fold, spec) for fold in folds)


def cleaning_rules(spec: CaptionSpec) -> tuple[tuple[str, str], ...]:
    """Return (pattern, replacement) pairs to be applied in order to folded text."""
    stray = " " if spec.punctuation == "drop" else r" \1 "
    split_run = (r"(['-])(['-])", r"\1 \2")
    return (
        # 's is a possessive, except where a letter or digit follows.
        (r"'([sS])", rf" {_POSSESSIVE}\1"),
        (rf" {_POSSESSIVE}([sS])([^ '-])", r"'\1\2"),
        # Matches do not overlap: the first pass splits every other pair of a run.
        split_run,
        split_run,
        (r"(?:^| )(['-])", stray),
        (r"(['-])(?: |$)", stray),
        (_POSSESSIVE, "'"),
    )


def tokenize_caption(caption: str, spec: CaptionSpec = DEFAULT_CLEANING) -> list[str]:
    """Return the cleaned words of a raw caption; an empty list where nothing is left."""
    folds, rules = _compile(spec)
    text = caption.translate(folds)
    # No rule applies to text without these, which most captions are.
    if "'" in text or "-" in text:
        for pattern, replacement in rules:
            text = pattern.sub(replacement, text)
    return text.split()


def clean_caption(caption: str, spec: CaptionSpec = DEFAULT_CLEANING) -> str:
    """Return the cleaned words joined by single blanks. Cleaning twice changes nothing."""
    return " ".join(tokenize_caption(caption, spec))


def _to_ascii(character: str) -> str:
    """Fold to ASCII, case kept: "É" -> "E", "Æ" -> "AE", "①" -> "1", "犬" -> " "."""
    if character in MARKS:
        return MARKS[character]
    lower = character.lower()
    if lower in LETTERS:
        return LETTERS[lower] if character == lower else LETTERS[lower].upper()
    if unicodedata.category(character) in _UNWRITTEN:
        return ""
    parts = unicodedata.normalize("NFKD", character)
    written = (part for part in parts if unicodedata.category(part) not in _UNWRITTEN)
    folded = "".join(part if part.isascii() else " " for part in written)
    return folded if folded.strip() else " "


def _to_unicode(character: str) -> str:
    """Fold compatibility forms, case kept: "Ａ" -> "A", "ﬁ" -> "fi", "’" -> "'"."""
    parts = unicodedata.normalize("NFKC", character)
    # An accent on its own ("´") is a blank that bears a combining mark.
    if parts.startswith(" "):
        return " "
    return "".join(MARKS.get(part, part) for part in parts if not _is_invisible(part))


def _is_invisible(character: str) -> bool:
    """Tell format characters, enclosing marks (of keycaps) and variation selectors (of emoji)."""
    if unicodedata.category(character) in ("Cf", "Me"):
        return True
    return "VARIATION SELECTOR" in unicodedata.name(character, "")


def _keep_or_blank(character: str, spec: CaptionSpec) -> str:
    kind = unicodedata.category(character)[0]
    if kind in "LM" or character in "'-":
        return character
    if kind == "N":
        return {"keep": character, "mask": "0", "drop": " "}[spec.digits]
    if spec.punctuation == "keep" and character in string.punctuation:
        return f" {character} "
    return " "


class _Folds(dict):
    """The folds by code point, for `str.translate`, computed as they are met."""

    def __init__(self, spec: CaptionSpec):
        super().__init__()
        self._spec = spec

    def __missing__(self, code: int) -> str:
        fold = self[code] = fold_character(chr(code), self._spec)
        return fold


class _Compiled(NamedTuple):
    folds: _Folds
    rules: tuple[tuple[re.Pattern, str], ...]


@functools.cache
def _compile(spec: CaptionSpec) -> _Compiled:
    rules = tuple((re.compile(pattern), new) for pattern, new in cleaning_rules(spec))
    return _Compiled(_Folds(spec), rules)
