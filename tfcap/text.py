"""Captions in the graph: cleaning, tokenization, words to ids and back.

The same steps as `records.captions`, on string tensors: `fold_character` becomes a lookup table,
`cleaning_rules` run as RE2 replacements. The splitting of words is the only part with two forms: by
tensorflow-text (the standard export; TF Serving links its ops) or by core ops (the portable one).
"""

import functools
import sys
import unicodedata
from collections.abc import Callable

import tensorflow as tf

from records import captions
from records.captions import CaptionSpec
from records.vocabulary import END_ID, PAD_ID, START_ID, UNK_ID, Vocabulary


def split_words_core(cleaned: tf.Tensor) -> tf.RaggedTensor:
    """Split cleaned captions [B] at blanks with core ops; returns words [B, (T)]."""
    return tf.strings.split(cleaned)


def split_words_text(cleaned: tf.Tensor) -> tf.RaggedTensor:
    """Split cleaned captions [B] at blanks with tensorflow-text; returns words [B, (T)]."""
    import tensorflow_text

    return tensorflow_text.WhitespaceTokenizer().tokenize(cleaned)


class CaptionCleaner:
    """`records.captions.clean_caption` as a graph.

    Attributes:
        tables: the lookup tables, to be tracked by whatever exports a graph that uses them.
    """

    def __init__(self, spec: CaptionSpec):
        folds = _folds(spec)
        self._folds = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(list(folds), list(folds.values())),
            default_value=" ",
        )
        self._rules = captions.cleaning_rules(spec)
        self.tables = (self._folds,)

    def clean(self, raw: tf.Tensor) -> tf.Tensor:
        """Clean raw captions, string [B], into cleaned ones, string [B].

        Bytes that are not UTF-8 count as characters that can be in no word.
        """
        characters = tf.strings.unicode_split(raw, "UTF-8", errors="replace")
        folded = tf.ragged.map_flat_values(self._folds.lookup, characters)
        text = tf.strings.reduce_join(folded, axis=-1)
        for pattern, replacement in self._rules:
            text = tf.strings.regex_replace(text, pattern, replacement)
        return _single_blanks(text)


class CaptionIds:
    """Cleaned captions to word ids and back.

    Attributes:
        tables: the lookup tables, to be tracked by whatever exports a graph that uses them.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        split_words: Callable[[tf.Tensor], tf.RaggedTensor] = split_words_core,
    ):
        self._words = tf.constant(vocabulary.words)
        self._ids = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                self._words, tf.range(len(vocabulary.words), dtype=tf.int32)
            ),
            default_value=UNK_ID,
        )
        self._split_words = split_words
        self.tables = (self._ids,)

    def encode(self, cleaned: tf.Tensor) -> tf.RaggedTensor:
        """Return the word ids of cleaned captions, string [B], as int32 [B, (T)]."""
        return tf.ragged.map_flat_values(self._ids.lookup, self._split_words(cleaned))

    def decode(self, ids: tf.Tensor) -> tf.Tensor:
        """Return captions, string [...], of word ids, int [..., T]; special tokens are left out."""
        is_word = ids > END_ID
        words = tf.where(is_word, tf.gather(self._words, tf.where(is_word, ids, PAD_ID)), "")
        return _single_blanks(tf.strings.reduce_join(words, axis=-1, separator=" "))


def teacher_forcing(ids: tf.RaggedTensor, max_words: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Frame captions for teacher forcing.

    Args:
        ids: int32 [N, (T)], the words of each caption.
        max_words: a longer caption is cut after this many words plus one target.

    Returns:
        (inputs, targets), int32 [N, L] with L the longest framed caption: inputs begin with
        <start>, targets end with <end> unless cut; both are filled up with <pad> alike.
    """
    lengths = tf.cast(ids.row_lengths(), tf.int32)
    # Without captions there is one column of none: recurrent layers fail on no column.
    longest = tf.clip_by_value(tf.reduce_max(lengths), 0, max_words)
    # Plain tensors: operations on ragged ones took longer than all else that a caption needs.
    words = tf.pad(ids.to_tensor(PAD_ID), [[0, 0], [0, 1]], constant_values=PAD_ID)
    words = words[:, : longest + 1]
    ends = tf.range(longest + 1) == lengths[:, tf.newaxis]
    starts = tf.fill([tf.size(lengths), 1], START_ID)
    return tf.concat([starts, words[:, :-1]], axis=1), tf.where(ends, END_ID, words)


def _single_blanks(text: tf.Tensor) -> tf.Tensor:
    return tf.strings.strip(tf.strings.regex_replace(text, " +", " "))


def _is_assigned(character: str) -> bool:
    return unicodedata.category(character) not in ("Cs", "Cn", "Co")


@functools.lru_cache
def _folds(spec: CaptionSpec) -> dict[str, str]:
    """Return what each assigned character becomes, those aside that become a blank."""
    characters = filter(_is_assigned, map(chr, range(sys.maxunicode + 1)))
    folds = {character: captions.fold_character(character, spec) for character in characters}
    return {character: fold for character, fold in folds.items() if fold != " "}
