"""What captions get wrong: colours, counts and genders, against what the references say."""

import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

ABSENT = "none"  # stands for no word of the category

Words = Sequence[str]  # of one caption, cleaned


@dataclasses.dataclass(frozen=True)
class Category:
    """Words that exclude each other.

    Attributes:
        name: in the plural, as a heading.
        values: the words that mean each value, in small letters; no word is in two of them.
    """

    name: str
    values: Mapping[str, frozenset[str]]

    def mentions(self, words: Words) -> list[str]:
        """Return the values that a caption mentions, each once, in the order of its words."""
        meant = (self._value_of.get(word.lower()) for word in words)
        return list(dict.fromkeys(value for value in meant if value))

    @functools.cached_property
    def _value_of(self) -> dict[str, str]:
        return {word: value for value, words in self.values.items() for word in words}


def _category(name: str, **values: str) -> Category:
    return Category(name, {value: frozenset(words.split()) for value, words in values.items()})


# The basic colour terms of English (Berlin & Kay 1969), with their other spellings.
COLOURS = _category(
    "Colours",
    black="black",
    white="white",
    red="red",
    blue="blue",
    green="green",
    yellow="yellow",
    orange="orange",
    brown="brown",
    pink="pink",
    purple="purple violet",
    grey="grey gray",
)
COUNTS = _category(
    "Counts",
    one="one 1 single alone lone",
    two="two 2 couple pair both",
    three="three 3 trio",
    four="four 4",
    five="five 5",
    group="group groups crowd several many bunch",
)
GENDERS = _category(
    "Genders",
    female="woman women girl girls lady ladies female females she her",
    male="man men boy boys guy guys gentleman gentlemen male males he him his",
    person="person people child children kid kids baby toddler adult adults",
)
CATEGORIES = (COLOURS, COUNTS, GENDERS)


@dataclasses.dataclass(frozen=True)
class Confusion:
    """How often the references say one value of a category and the captions another.

    Attributes:
        category: see there.
        values: that occur, in the order of the category, and `ABSENT` last.
        counts: how often, by (value of the references, value of the captions).
    """

    category: Category
    values: tuple[str, ...]
    counts: Mapping[tuple[str, str], int]

    def row(self, value: str) -> list[int]:
        """Return how often the captions say each value where the references say `value`."""
        return [self.counts.get((value, said), 0) for said in self.values]

    def mistakes(self, limit: int) -> list[tuple[str, str, int]]:
        """Return what is taken for what most often: (value of the references, of the captions, n).

        Values that only one side has are left out.
        """
        taken = [
            (meant, said, count)
            for (meant, said), count in self.counts.items()
            if meant != said and ABSENT not in (meant, said)
        ]
        return sorted(taken, key=lambda mistake: (-mistake[2], *mistake[:2]))[:limit]


def count_confusions(
    category: Category, pictures: Iterable[tuple[Sequence[Words], Words]]
) -> Confusion:
    """Hold what captions say against what the references say.

    Args:
        category: of words.
        pictures: (the words of each reference, the words of the caption) of each picture.

    Returns:
        how often each value meets each: once a picture for each pair of `pair_values`.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for references, caption in pictures:
        said = category.mentions(caption)
        counts.update(pair_values(agreed_values(category, references, said), said))
    seen = {value for pair in counts for value in pair}
    values = (*(value for value in category.values if value in seen), ABSENT)
    return Confusion(category, values, dict(counts))


def agreed_values(
    category: Category, references: Sequence[Words], said: Iterable[str] = ()
) -> list[str]:
    """Return what the references of a picture say: the values that more than half of them mention.

    Authors leave out what goes without saying. So a value of the generated caption that any
    reference mentions counts as said too: to call it wrong would be.

    Args:
        category: of words.
        references: the words of each.
        said: values that the generated caption mentions.
    """
    mentions = Counter(value for words in references for value in category.mentions(words))
    return [
        value
        for value in category.values
        if 2 * mentions[value] > len(references) or (mentions[value] and value in said)
    ]


def pair_values(meant: Sequence[str], said: Sequence[str]) -> list[tuple[str, str]]:
    """Pair values of the references with those of the caption.

    Each value that both have is paired with itself; what is left on both sides with each other, in
    order; and what is left then with `ABSENT`. Two empty sides are one pair of it.
    """
    both = [(value, value) for value in meant if value in said]
    left = [value for value in meant if value not in said]
    added = [value for value in said if value not in meant]
    others = list(itertools.zip_longest(left, added, fillvalue=ABSENT))
    return both + others or [(ABSENT, ABSENT)]
