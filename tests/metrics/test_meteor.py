import itertools

import nltk
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.corpus.reader import WordNetCorpusReader
from nltk.corpus.util import LazyCorpusLoader
from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import meteor_score

from tfcap.metrics.meteor import Lexicon, align, load_lexicon, meteor

STEMS = Lexicon(PorterStemmer().stem)
WORDS = ["a", "dog", "dogs", "runs", "running"]
CAPTIONS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=7)


class NoSynonyms:
    """WordNet for NLTK, where there is none."""

    def synsets(self, word):
        return []


def score(caption, *references, lexicon=STEMS):
    return meteor([each.split() for each in references], caption.split(), lexicon)


def alignments(candidates, used=()):
    """All alignments: for each word a position, or None."""
    if not candidates:
        yield ()
        return
    for place in (None, *candidates[0]):
        if place is None or place not in used:
            for rest in alignments(candidates[1:], (*used, place)):
                yield (place, *rest)


def matches_and_chunks(alignment):
    joined = sum(
        None not in (one, other) and other == one + 1
        for one, other in itertools.pairwise(alignment)
    )
    matches = sum(place is not None for place in alignment)
    return matches, matches - joined


@given(st.lists(st.frozensets(st.integers(0, 4), max_size=3), max_size=5))
def test_the_alignment_is_the_best_of_all(candidates):
    everything = map(matches_and_chunks, alignments(candidates))
    assert align(candidates) == max(everything, key=lambda found: (found[0], -found[1]))


def test_words_without_end_are_aligned_in_a_moment():
    assert align([frozenset(range(40))] * 40) == (40, 1)


def test_hand_worked_scores():
    # All four words in one chunk.
    assert score("a dog runs fast", "a dog runs fast") == pytest.approx(100 * (1 - 0.5 / 4**3))
    # Two of three words, of five in the reference, in one chunk: the first "a" is the one to take.
    precision, recall = 2 / 3, 2 / 5
    mean = 10 * precision * recall / (recall + 9 * precision)
    assert score("a dog ran", "a dog chases a cat") == pytest.approx(100 * mean * (1 - 0.5 / 2**3))
    # The same words in two chunks.
    assert score("cat a", "a cat") == pytest.approx(50)


def test_stems_match_and_synonyms_only_where_they_are_known():
    assert score("dogs running", "dog runs") == score("dog runs", "dog runs")
    assert score("canine", "dog") == 0
    synsets = {"dog": ["dog.n.01", "frump.n.01"], "canine": ["dog.n.01", "canine.n.02"]}
    wordnet = Lexicon(PorterStemmer().stem, lambda word: synsets.get(word, []))
    assert score("canine", "dog", lexicon=wordnet) == score("dog", "dog")
    assert score("canine", "cat", lexicon=wordnet) == 0


def test_the_best_reference_counts():
    assert score("a dog", "two cats", "a dog", "a") == score("a dog", "a dog")
    assert score("", "a dog") == score("a", "", "dog") == 0


@given(CAPTIONS, st.lists(CAPTIONS, min_size=1, max_size=2))
def test_never_below_nltk_which_aligns_greedily(caption, references):
    greedy = meteor_score(references, caption, stemmer=PorterStemmer(), wordnet=NoSynonyms())
    assert meteor(references, caption, STEMS) >= 100 * greedy - 1e-9


@given(st.permutations(["a", "dogs", "runs"]), st.permutations(["a", "dog", "running", "fast"]))
def test_equal_to_nltk_where_no_stem_comes_twice(caption, reference):
    theirs = meteor_score([reference], caption, stemmer=PorterStemmer(), wordnet=NoSynonyms())
    assert meteor([reference], caption, STEMS) == pytest.approx(100 * theirs)


@pytest.fixture
def nltk_data(tmp_path, monkeypatch):
    """An empty directory, where alone NLTK looks for its data."""
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    # The true one may be loaded already. The last argument would read other languages.
    unread = LazyCorpusLoader("wordnet", WordNetCorpusReader, object())
    monkeypatch.setattr("nltk.corpus.wordnet", unread)
    return tmp_path


def test_without_wordnet_the_name_says_so(nltk_data):
    lexicon = load_lexicon()
    assert lexicon.metric == "METEOR (exact, stem)" and not lexicon.wordnet
    assert score("couch", "sofa", lexicon=lexicon) == 0
    assert list(nltk_data.iterdir()) == []


def test_wordnet_is_used_where_its_data_is(nltk_data):
    write_wordnet(nltk_data / "corpora" / "wordnet")
    lexicon = load_lexicon()
    assert lexicon.metric == "METEOR (exact, stem, WordNet)" and lexicon.wordnet
    assert score("couches", "sofa", lexicon=lexicon) == score("sofa", "sofa", lexicon=lexicon)
    assert score("couch", "dog", lexicon=lexicon) == 0


def write_wordnet(directory):
    """Write a WordNet of one synset, {sofa, couch}, in the format of wndb(5WN)."""
    directory.mkdir(parents=True)
    for name in WordNetCorpusReader._FILES:
        (directory / name).write_text("")
    (directory / "lexnames").write_text("00\tnoun.artifact\t1\n")
    (directory / "data.noun").write_text("00000000 00 n 02 sofa 0 couch 0 000 | a seat\n")
    index = "{} n 1 0 1 0 00000000\n"
    (directory / "index.noun").write_text(index.format("couch") + index.format("sofa"))
