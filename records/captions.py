r"""Caption cleaning: written here in Python, and in `tfcap/text.py` as TensorFlow ops.

A caption becomes a sequence of lower-case ASCII words: compatibility characters and accents are
folded, punctuation goes, hyphenated words stay whole ("t-shirt"), and the possessive is a word of
its own ("dog 's"), as the PTB tokenizer of the COCO evaluation has it.

Both implementations fold with `fold_character` and then apply the very same `RULES`: patterns that
Python's `re` and RE2 read alike on ASCII text (no look-around).
"""

import dataclasses
import functools
import re
import unicodedata

from nltk.tokenize import WhitespaceTokenizer

from records.specs import Spec

# Letters and signs that NFKD leaves whole but English writes in ASCII; looked up in lower case.
TRANSLITERATIONS = {
    "\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u2010": "-", "\u2011": "-",
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i",
}  # fmt: skip

# (pattern, replacement), applied in order to folded, lower-case text. "_" marks a possessive
# while the stray quotes and hyphens around it are taken off; no rule lets an earlier "_" through.
RULES = (
    (r"[^a-z0-9'-]+", " "),
    (r"'s\b", " _s"),
    (r"\B['-]+|['-]+\B", " "),
    (r"_s", "'s"),
)

_INVISIBLE = ("Mn", "Me", "Cf")  # Unicode's combining marks and format characters

_COMPILED = tuple((re.compile(pattern, re.ASCII), new) for pattern, new in RULES)
_TOKENIZER = WhitespaceTokenizer()


@dataclasses.dataclass(frozen=True)
class CaptionSpec(Spec):
    """How captions are cleaned; its digest travels with every dataset, run and export.

    Attributes:
        version: raised whenever `TRANSLITERATIONS`, `RULES` or `fold_character` change.
        min_words: a cleaned caption with fewer words is rejected.
    """

    version: int = 1
    min_words: int = 1

    def __post_init__(self):
        if self.min_words < 1:
            raise ValueError(f"min_words must be at least 1, got {self.min_words}")


@functools.cache
def fold_character(character: str) -> str:
    """Return what one character contributes in lower-case ASCII: "É" -> "e", "★" -> " ".

    Combining marks and invisible format characters vanish; anything else without an ASCII
    counterpart becomes a blank. Context-free, so that a graph can hold it as a table.
    """
    if character.isascii():
        return character.lower()
    if character.lower() in TRANSLITERATIONS:
        return TRANSLITERATIONS[character.lower()]
    if unicodedata.category(character) in _INVISIBLE:
        return ""
    parts = unicodedata.normalize("NFKD", character)
    folded = "".join(
        part if part.isascii() else "" if unicodedata.category(part) in _INVISIBLE else " "
        for part in parts
    )
    return folded.lower() if folded.strip() else " "


def tokenize_caption(caption: str) -> list[str]:
    """Return the cleaned words of a raw caption; an empty list where nothing is left."""
    text = "".join(map(fold_character, caption))
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    return _TOKENIZER.tokenize(text)


def clean_caption(caption: str) -> str:
    """Return the cleaned words joined by single blanks. Cleaning twice changes nothing."""
    return " ".join(tokenize_caption(caption))
