"""Which search a captioner is used with."""

import dataclasses

import tensorflow as tf

from records.specs import Spec
from tfcap.decoders.base import Decoder
from tfcap.search.beam import beam
from tfcap.search.greedy import greedy
from tfcap.search.hypotheses import Hypotheses


@dataclasses.dataclass(frozen=True)
class SearchSpec(Spec):
    """How captions are searched for.

    Attributes:
        beams: captions that are followed at once; 1 is greedy.
        length_penalty: favours longer captions, of several beams; see `tfcap.search.beam`.
        no_repeat: no so many words come twice in a row in a caption; 0 lets them.
    """

    beams: int = 1
    length_penalty: float = 0.0
    no_repeat: int = 0

    def __post_init__(self):
        if self.beams < 1:
            raise ValueError(f"beams must be at least 1, got {self.beams}")
        if not self.length_penalty >= 0 or self.no_repeat < 0:
            raise ValueError(f"length_penalty and no_repeat must be at least 0, got {self}")
        if self.length_penalty and self.beams == 1:
            raise ValueError("length_penalty compares captions of several beams, and beams is 1")


GREEDY = SearchSpec()


def search(
    decoder: Decoder,
    features: tf.Tensor,
    max_words: int,
    spec: SearchSpec = GREEDY,
    prompts: tf.RaggedTensor | None = None,
) -> Hypotheses:
    """Return the best caption of each picture; other arguments as of `greedy`."""
    if spec.beams == 1:
        return greedy(decoder, features, max_words, prompts, spec.no_repeat)
    how = (spec.beams, spec.length_penalty, spec.no_repeat)
    found = beam(decoder, features, max_words, *how, prompts)
    return Hypotheses(found.words[:, 0], found.log_probs[:, 0])
