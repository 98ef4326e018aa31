"""Search in the graph, batched; one implementation of each for every caller."""

from tfcap.search.beam import Beams, beam
from tfcap.search.greedy import greedy
from tfcap.search.hypotheses import Hypotheses
from tfcap.search.sampling import SamplingSpec, sample
from tfcap.search.spec import GREEDY, SearchSpec, search

__all__ = [
    "GREEDY",
    "Beams",
    "Hypotheses",
    "SamplingSpec",
    "SearchSpec",
    "beam",
    "greedy",
    "sample",
    "search",
]
