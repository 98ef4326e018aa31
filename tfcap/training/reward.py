"""What a drawn caption is worth: its CIDEr-D against the references of its picture.

Words are ids here, and <end> counts as one of them: a caption that breaks off is to lose by it.
Document frequencies are those of the training references.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from records.example import decode_example
from records.tfrecord import scan_frames
from records.vocabulary import END_ID, PAD_ID, Vocabulary
from tfcap.metrics.cider import CiderReferences, DocumentFrequencies


@dataclasses.dataclass(frozen=True)
class CiderReward:
    """CIDEr-D (0-10) as a function of word ids.

    Attributes:
        frequencies: in how many training pictures' references each n-gram of ids occurs.
    """

    frequencies: DocumentFrequencies

    @classmethod
    def of(cls, references: Iterable[Sequence[Sequence[int]]]) -> "CiderReward":
        """Count over the references of each training picture, ids up to <end>, which included."""
        return cls(DocumentFrequencies.count(references))

    def __call__(self, captions: np.ndarray, references: np.ndarray) -> np.ndarray:
        """Score captions.

        Args:
            captions: int32 [B, S, T], drawn captions up to <end>, then <pad>.
            references: int32 [B, K, L], those of the same pictures, likewise; what is <pad> alone
                is none.

        Returns:
            float32 [B, S]; 0 for a picture without references.
        """
        rewards = np.zeros(captions.shape[:2], np.float32)
        for row, (drawn, known) in enumerate(zip(captions, references, strict=True)):
            if tokens := [words for words in map(_tokens, known) if words]:
                scorer = CiderReferences({row: tokens}, self.frequencies)
                rewards[row] = [scorer.score(row, _tokens(words)) for words in drawn]
        return rewards


def reference_ids(
    shards: Iterable[Path], vocabulary: Vocabulary, max_words: int
) -> Iterator[list[list[int]]]:
    """Yield the references of each record, as `CiderReward` and `teacher_forcing` have them.

    Args:
        shards: TFRecord files.
        vocabulary: of the ids.
        max_words: longer captions are cut, and then have no <end>.
    """
    for shard in shards:
        # Damage is for the batches to meet: there it is told, or counted.
        for frame in scan_frames(shard, lambda _: None):
            captions = decode_example(frame.payload).captions
            ids = ([*vocabulary.encode(caption.split()), END_ID] for caption in captions)
            yield [caption[: max_words + 1] for caption in ids]


def _tokens(words: np.ndarray) -> list[int]:
    return words[words != PAD_ID].tolist()
