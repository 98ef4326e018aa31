"""The vocabulary: the words that a decoder can say, and their ids."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from records.errors import UserError

SPECIALS = ("<pad>", "<unk>", "<start>", "<end>")
PAD_ID, UNK_ID, START_ID, END_ID = range(len(SPECIALS))


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Words by id.

    Attributes:
        words: `SPECIALS` first; no word twice, none empty or with a blank in it.
    """

    words: tuple[str, ...]

    def __post_init__(self):
        if self.words[: len(SPECIALS)] != SPECIALS:
            raise ValueError(f"the first words must be {' '.join(SPECIALS)}")
        for id_, word in enumerate(self.words):
            if word.split() != [word]:
                raise ValueError(f"word {id_}, {word!r}, is not one word")
        word, times = Counter(self.words).most_common(1)[0]
        if times > 1:
            raise ValueError(f"{word!r} stands there {times} times")

    def __len__(self):
        return len(self.words)

    @functools.cached_property
    def ids(self) -> dict[str, int]:
        """The id of each word."""
        return {word: id_ for id_, word in enumerate(self.words)}

    def encode(self, words: Iterable[str]) -> list[int]:
        """Return the ids of words; an unknown word has the id of <unk>."""
        return [self.ids.get(word, UNK_ID) for word in words]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the words of ids; special tokens are left out."""
        return [self.words[id_] for id_ in ids if id_ > END_ID]

    def to_text(self) -> str:
        """Return the text of `vocab.txt`: one word a line, in the order of ids."""
        return "".join(f"{word}\n" for word in self.words)

    @classmethod
    def read(cls, path: Path) -> "Vocabulary":
        """Read `vocab.txt`.

        Raises:
            UserError: the file is missing, not UTF-8, or no vocabulary.
        """
        try:
            *words, rest = path.read_bytes().decode("utf-8").split("\n")
            if rest:
                raise ValueError("the last line is cut short")
            return cls(tuple(words))
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is no vocabulary: {error}: build the dataset again") from None


def build_vocabulary(word_counts: Mapping[str, int], min_count: int) -> Vocabulary:
    """Return the vocabulary of the words seen at least `min_count` times, frequent ones first."""
    frequent = [word for word, count in word_counts.items() if count >= min_count]
    frequent.sort(key=lambda word: (-word_counts[word], word))
    return Vocabulary((*SPECIALS, *frequent))
