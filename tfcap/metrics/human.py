"""How people score against people: the references of a picture, each against its others."""

import dataclasses
import statistics
from collections.abc import Mapping

from tfcap.metrics.meteor import Lexicon
from tfcap.metrics.per_picture import TokenReferences


@dataclasses.dataclass(frozen=True)
class Human:
    """The human row of a table of scores.

    Attributes:
        scores: by metric; empty where no picture has two references.
        count: pictures with two references at least.
        left_out: pictures with fewer.
    """

    scores: Mapping[str, float]
    count: int
    left_out: int


def score_humans(references: TokenReferences, lexicon: Lexicon | None = None) -> Human:
    """Score one reference of each picture against the others, each in its turn, and average.

    There are as many turns as a picture has references at most; a picture with fewer begins anew.
    The others are one reference fewer than a captioner is scored against, which costs people some
    points of every metric but CIDEr-D. CIDEr-D has the document frequencies of all references.
    """
    several = {
        picture: captions for picture, captions in references.tokens.items() if len(captions) > 1
    }
    left_out = len(references.tokens) - len(several)
    if not several:
        return Human({}, 0, left_out)
    turns = []
    for turn in range(max(map(len, several.values()))):
        ones, others = {}, {}
        for picture, captions in several.items():
            at = turn % len(captions)
            ones[picture] = captions[at]
            others[picture] = [*captions[:at], *captions[at + 1 :]]
        scorer = TokenReferences(others, references.frequencies)
        turns.append(scorer.statistics(ones, lexicon).scores())
    scores = {name: statistics.fmean(turn[name] for turn in turns) for name in turns[0]}
    return Human(scores, len(several), left_out)
