"""GloVe files: what is taken, and what is refused by its line."""

import numpy as np
import pytest

from records.errors import UserError
from records.vocabulary import SPECIALS, Vocabulary
from tfcap.word_vectors import read_glove

VOCABULARY = Vocabulary((*SPECIALS, "dog", "runs", "zebra"))


def write(tmp_path, text):
    path = tmp_path / "glove.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_vectors_stand_beside_the_ids_of_their_words(tmp_path):
    path = write(tmp_path, b"the 9 9\n\x96 7 7\nruns 0.5 -1e-3\n<unk> 8 8\ndog 1 2\ndog 3 4\n")
    found = read_glove(path, VOCABULARY)
    assert found.rows.tolist() == [4, 5]
    np.testing.assert_array_equal(found.values, np.float32([[1, 2], [0.5, -1e-3]]))
    assert found.width == 2
    assert str(found) == "2 of 3 words have vectors (66.7%)"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dog 1 2\nruns 1\n", "line 2: 1 values instead of 2"),
        ("dog\n", "line 1: 0 values instead of 1"),
        ("dog 1 2\n\nruns 1 2\n", "line 2: 0 values"),
        ("the 1 2\ndog 1 two\n", "line 2: 'two' is no number"),
        ("dog 1 nan\n", "line 1: 'nan' is not finite"),
        (b"dog 1 2\ncat 1 \xff\xff 3\n", "line 2: 3 values instead of 2"),
        ("dog " + "1 " * 40_000, "line 1: more than"),
        ("cat 1 2\n", "has a vector for no word"),
        ("", "has a vector for no word"),
    ],
)
def test_a_malformed_file_is_refused_by_line(tmp_path, text, told):
    with pytest.raises(UserError, match=told) as refused:
        read_glove(write(tmp_path, text), VOCABULARY)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="check --glove"):
        read_glove(tmp_path / "none.txt", VOCABULARY)


def test_real_vectors_cover_the_words_of_real_captions(shared):
    (path,) = (shared / "glove").glob("glove.6B.50d*.txt")
    lines = path.read_bytes().decode(errors="replace").splitlines()
    words = [word for line in lines if (word := line.split(" ")[0]).isascii()]
    found = read_glove(path, Vocabulary((*SPECIALS, *words, "qqxyz")))
    assert found.values.shape == (len(words), 50)
    assert f"{len(words)} of {len(words) + 1} words" in str(found)
