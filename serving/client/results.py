"""What the signatures of a captioner answer, for one picture each.

The fields are the outputs of the signature. `error` is empty where the picture was good and says
what is wrong where it was not; then captions are empty and numbers zero.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Caption:
    """Of `caption` and `complete`: the caption and its log-probability (natural logarithm)."""

    caption: str
    log_prob: float
    error: str


@dataclasses.dataclass(frozen=True)
class Beam:
    """Of `beam`: captions, best first, and their log-probabilities."""

    captions: tuple[str, ...]
    log_probs: tuple[float, ...]
    error: str


@dataclasses.dataclass(frozen=True)
class Score:
    """Of `score`: the log-probability of a given caption, and its perplexity per word."""

    log_prob: float
    perplexity: float
    error: str


@dataclasses.dataclass(frozen=True)
class Embedding:
    """Of `embed`: the mean over the encoder's feature map, one number a channel."""

    embedding: tuple[float, ...]
    error: str


@dataclasses.dataclass(frozen=True)
class Word:
    """A word of an explanation: its log-probability, and where the decoder looked, rows [h][w]."""

    token: str
    log_prob: float
    attention: tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Of `explain`: the caption word by word. Tokens after the end are empty; `words` has none."""

    caption: str
    tokens: tuple[str, ...]
    log_probs: tuple[float, ...]
    attention: tuple[tuple[tuple[float, ...], ...], ...]
    error: str

    @property
    def words(self) -> tuple[Word, ...]:
        """The tokens that were said, with what belongs to each."""
        steps = zip(self.tokens, self.log_probs, self.attention, strict=True)
        return tuple(Word(*step) for step in steps if step[0])


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """A version that the server knows: START, LOADING, AVAILABLE, UNLOADING or END."""

    version: int
    state: str
    error: str
