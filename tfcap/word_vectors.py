"""Word vectors of GloVe, for the words of a vocabulary.

Pennington, Socher & Manning 2014, https://nlp.stanford.edu/projects/glove: a text file with a line
for each word, the word and its values with blanks between.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np

from records.errors import UserError
from records.vocabulary import SPECIALS, Vocabulary
from tfcap.decoders.base import Decoder

# A longer line is no word vector: those of GloVe have 300 values at most.
_MAX_LINE = 2**16


@dataclasses.dataclass(frozen=True)
class WordVectors:
    """Vectors of some words of a vocabulary.

    Attributes:
        rows: ids of the words, int64 [N], rising.
        values: float32 [N, E].
        words: size of the vocabulary, special tokens aside.
    """

    rows: np.ndarray
    values: np.ndarray
    words: int

    @property
    def width(self) -> int:
        """E."""
        return self.values.shape[1]

    def __str__(self):
        share = len(self.rows) / max(1, self.words)
        return f"{len(self.rows)} of {self.words} words have vectors ({share:.1%})"


def read_glove(path: Path, vocabulary: Vocabulary) -> WordVectors:
    """Read the vectors of the words of a vocabulary.

    Args:
        path: a GloVe text file, of any size: of other words, only the number of values is checked.
        vocabulary: the words.

    Raises:
        UserError: the file cannot be read, a line is malformed, or no word is there.
    """
    found: dict[int, list[float]] = {}
    width = None
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE + 1), b""), start=1):
                word, *values = _split(line, path, number)
                if width is None:
                    width = len(values)
                if len(values) != width or not width:
                    raise _malformed(path, number, f"{len(values)} values instead of {width or 1}")
                row = vocabulary.ids.get(word)
                if row is not None and word not in SPECIALS:
                    found.setdefault(row, _numbers(values, path, number))
    except OSError as error:
        raise UserError(
            f"cannot read word vectors {path} ({error.strerror}): check --glove"
        ) from None
    if not found:
        raise UserError(f"{path} has a vector for no word of the vocabulary: check --glove")
    rows = sorted(found)
    values = np.array([found[row] for row in rows], np.float32)
    return WordVectors(np.array(rows), values, len(vocabulary.words) - len(SPECIALS))


def set_vectors(decoder: Decoder, vectors: WordVectors) -> None:
    """Have a decoder begin with word vectors; the other words keep theirs.

    Raises:
        UserError: its own have another width.
    """
    variable = decoder.word_vectors
    if vectors.width != variable.shape[1]:
        raise UserError(
            f"the word vectors have {vectors.width} values, the decoder's {variable.shape[1]}: "
            f"give --embedding {vectors.width} (a transformer: --units)"
        )
    whole = variable.numpy()
    whole[vectors.rows] = vectors.values
    variable.assign(whole)


def _split(line: bytes, path: Path, number: int) -> list[str]:
    if len(line) > _MAX_LINE:
        raise _malformed(path, number, f"more than {_MAX_LINE} bytes")
    # GloVe's own files hold some words that are not UTF-8: they are no words of a caption.
    return line.decode(errors="replace").rstrip("\r\n").split(" ")


def _numbers(fields: list[str], path: Path, number: int) -> list[float]:
    values = []
    for field in fields:
        try:
            values.append(float(field))
        except ValueError:
            raise _malformed(path, number, f"{field!r:.40} is no number") from None
        if not math.isfinite(values[-1]):
            raise _malformed(path, number, f"{field!r} is not finite")
    return values


def _malformed(path: Path, number: int, reason: str) -> UserError:
    return UserError(
        f"{path}: line {number}: {reason}: give a GloVe file, a word and its values on each line"
    )
