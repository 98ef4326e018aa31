"""N-gram counts, the common ground of BLEU and CIDEr."""

from collections import Counter
from collections.abc import Iterator, Sequence

# Both metrics look at n-grams of 1 to 4 words.
LONGEST = 4

Ngram = tuple[str, ...]


def iterate_ngrams(tokens: Sequence[str], order: int) -> Iterator[Ngram]:
    """Yield the n-grams of `order` words in reading order: ``len(tokens) - order + 1`` of them."""
    return zip(*(tokens[start:] for start in range(order)), strict=False)


def count_ngrams(tokens: Sequence[str]) -> tuple[Counter[Ngram], ...]:
    """Return `LONGEST` counters: of the single words, of the pairs, and so on."""
    return tuple(Counter(iterate_ngrams(tokens, order)) for order in range(1, LONGEST + 1))
