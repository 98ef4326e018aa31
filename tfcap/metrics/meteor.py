"""METEOR, by exact words and stems, and by synonyms where WordNet is installed.

Banerjee and Lavie, 2005 (https://aclanthology.org/W05-0909): the words of a caption are aligned
with those of a reference; precision, recall and the number of pieces that the aligned words
fall into make the score. Parameters and stemmer (Porter's) are those of the paper and of NLTK's
`meteor_score`. That function aligns greedily and so may count more pieces than there need be;
this one looks for the fewest, as the paper has it, and is never lower.

It is not METEOR 1.5, which the COCO code runs in Java: that one also matches paraphrases, counts
function words less, has other parameters, and sums the set up before it scores. Its numbers are
much lower (19.1 points for 1,000 captions that have 41.6 here), so each compares with its like.
"""

import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5

# Alignments that are followed at once. Captions hardly ever have so many worth following.
BEAM = 40
NOWHERE = -2  # no position comes after it


class Lexicon:
    """Which words METEOR takes for the same; each word is looked up once.

    Attributes:
        wordnet: whether synonyms match.
        metric: name of the metric with this lexicon.
    """

    def __init__(
        self,
        stem: Callable[[str], str],
        synsets: Callable[[str], Iterable[Hashable]] | None = None,
    ):
        """Make a lexicon.

        Args:
            stem: of a word in lower case.
            synsets: the sets of synonyms that a word is in; two words match if they share one.
        """
        self.wordnet = synsets is not None
        self.metric = f"METEOR (exact, stem{', WordNet' if self.wordnet else ''})"

        # Words that are the same have the same stem, so stems stand for exact matches too.
        @functools.cache
        def forms(word: str) -> frozenset[Hashable]:
            return frozenset([("stem", stem(word)), *(synsets(word) if synsets else ())])

        self.forms = forms


def load_lexicon() -> Lexicon:
    """Return NLTK's Porter stemmer, with WordNet where its data is; nothing is downloaded."""
    # Nothing but METEOR needs NLTK.
    from nltk.corpus import wordnet
    from nltk.stem.porter import PorterStemmer

    stem = PorterStemmer().stem
    try:
        wordnet.ensure_loaded()
    except LookupError:
        return Lexicon(stem)
    return Lexicon(stem, lambda word: [synset.name() for synset in wordnet.synsets(word)])


def meteor(references: Sequence[Sequence[str]], tokens: Sequence[str], lexicon: Lexicon) -> float:
    """Return the score of one caption with the reference that suits it best, in points (0-100).

    Args:
        references: the tokens of at least one reference.
        tokens: of the caption.
        lexicon: which words are the same.
    """
    return max(_score(reference, tokens, lexicon) for reference in references)


def _score(reference: Sequence[str], tokens: Sequence[str], lexicon: Lexicon) -> float:
    places = defaultdict(set)
    for place, word in enumerate(reference):
        for form in lexicon.forms(word):
            places[form].add(place)
    nowhere = frozenset()
    matches, chunks = align(
        [
            frozenset().union(*(places.get(form, nowhere) for form in lexicon.forms(word)))
            for word in tokens
        ]
    )
    if not matches:
        return 0.0
    precision, recall = matches / len(tokens), matches / len(reference)
    mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
    return 100 * mean * (1 - GAMMA * (chunks / matches) ** BETA)


def align(candidates: Sequence[frozenset[int]]) -> tuple[int, int]:
    """Align a caption with a reference: most matches, and of these alignments the fewest chunks.

    A chunk is a run of words that stand side by side, in the same order, in both. The search goes
    through the caption word by word and follows the `BEAM` best alignments.

    Args:
        candidates: for each word of the caption, the positions in the reference that match it.

    Returns:
        (matches, chunks).
    """
    claims = Counter(place for places in candidates for place in places)
    # By the positions in use (a bit mask) and where the word before went: (matches, -chunks).
    alignments = {(0, NOWHERE): (0, 0)}
    for places in candidates:
        followed = {}
        contested = any(claims[place] > 1 for place in places)
        for (used, before), (matches, chunks) in alignments.items():
            free = [place for place in places if not used >> place & 1]
            if contested or not free:  # leave the word out, in favour of another
                _keep_better(followed, (used, NOWHERE), (matches, chunks))
            for place in free:
                score = matches + 1, chunks - (place != before + 1)
                _keep_better(followed, (used | 1 << place, place), score)
        if len(followed) > BEAM:
            best = sorted(followed, key=followed.get, reverse=True)[:BEAM]
            followed = {alignment: followed[alignment] for alignment in best}
        alignments = followed
    matches, chunks = max(alignments.values())
    return matches, -chunks


def _keep_better(alignments: dict, alignment: tuple[int, int], score: tuple[int, int]) -> None:
    if alignment not in alignments or alignments[alignment] < score:
        alignments[alignment] = score
