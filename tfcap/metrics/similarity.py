"""Similarity of meaning: the cosine between sentence embeddings of captions and references."""

import dataclasses
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np

from records.errors import UserError

# From n sentences to float [n, D].
Embed = Callable[[Sequence[str]], np.ndarray]

# A model's directory has one of them.
_MARKS = ("modules.json", "config.json")


@dataclasses.dataclass(frozen=True)
class Similarity:
    """Cosines (-1 to 1), averaged over pictures.

    Attributes:
        best: of each caption with the reference nearest to it.
        mean: of each caption with its references, on average.
    """

    best: float
    mean: float


def similarity(
    embed: Embed,
    references: Mapping[Hashable, Sequence[str]],
    predictions: Mapping[Hashable, str],
) -> Similarity:
    """Compare captions with their references; every sentence is embedded once.

    Args:
        embed: from n sentences to float [n, D]. A vector of zeros is similar to nothing.
        references: at least one raw caption by picture, for each of the predictions.
        predictions: one raw caption of at least one picture.
    """
    sentences = list(predictions.values())
    sentences += [each for picture in predictions for each in references[picture]]
    rows = {sentence: row for row, sentence in enumerate(dict.fromkeys(sentences))}
    vectors = np.asarray(embed(list(rows)), np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    cosines = [
        vectors[[rows[each] for each in references[picture]]] @ vectors[rows[caption]]
        for picture, caption in predictions.items()
    ]
    best, mean = ([each(cosine) for cosine in cosines] for each in (np.max, np.mean))
    return Similarity(float(np.mean(best)), float(np.mean(mean)))


def load_sentence_encoder(path: Path) -> Embed:
    """Load a model from the disk, and from nowhere else.

    Args:
        path: a directory as `SentenceTransformer.save` writes it, or one of a transformer with
            config.json, tokenizer and weights (whose token vectors are averaged).

    Raises:
        UserError: no such directory, the `sentence-transformers` package is absent, or the model
            cannot be loaded.
    """
    if not path.is_dir() or not any((path / name).is_file() for name in _MARKS):
        raise UserError(
            f"{path} is no directory of a sentence-transformers model ({' or '.join(_MARKS)}): "
            "download one beforehand and give its path"
        )
    # A model that names another one on the hub must fail here rather than fetch it.
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError as error:
        raise UserError(
            f"sentence similarity needs {error.name}: pip install sentence-transformers"
        ) from None
    try:
        model = SentenceTransformer(str(path), local_files_only=True)
    except Exception as error:  # whatever its many parts raise over a file
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"{path} cannot be loaded ({reason}): give a whole model") from None
    return lambda sentences: model.encode(sentences, convert_to_numpy=True, show_progress_bar=False)
