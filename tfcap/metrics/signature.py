"""One line that says how scores were made, so that nobody compares what does not compare."""

import dataclasses
import importlib.metadata
from collections.abc import Hashable, Iterable, Mapping, Sequence

from records.specs import canonical_hash
from tfcap.metrics.bootstrap import RESAMPLES, SEED

_DIGITS = 12  # hex digits of a fingerprint


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where captions come from, as far as it is known.

    Attributes:
        dataset: name, split and fingerprint of the records.
        search: how the captions were searched for.
        embedding: name of the sentence model.
    """

    dataset: str | None = None
    search: str | None = None
    embedding: str | None = None


UNKNOWN = Origin()


def name_split(name: str, split: str, fingerprint: str) -> str:
    """Return what `Origin.dataset` says of a split of a dataset."""
    return f"{name}/{split}@{fingerprint[:_DIGITS]}"


def sign(
    references: Mapping[Hashable, Sequence[str]], metrics: Iterable[str], origin: Origin
) -> str:
    """Return ``key:value`` fields with bars between them, those that are not known left out.

    Args:
        references: the raw captions of the pictures that were scored; a digest of them tells sets
            apart, whatever file they came from.
        metrics: names.
        origin: of the captions.
    """
    counts = sorted({len(captions) for captions in references.values()})
    pairs = sorted([str(picture), *captions] for picture, captions in references.items())
    fields = {
        "tfcap": _version(),
        "metrics": "+".join(metrics).replace(" ", ""),
        "tokens": "ptb",
        "idf": "references",
        "pictures": len(references),
        "references": "-".join(map(str, dict.fromkeys((counts[0], counts[-1])))),
        "references-sha256": canonical_hash(pairs)[:_DIGITS],
        "dataset": origin.dataset,
        "search": origin.search,
        "similarity": origin.embedding,
        "intervals": f"bootstrap-{RESAMPLES}-seed-{SEED}",
    }
    return "|".join(f"{key}:{value}" for key, value in fields.items() if value is not None)


def _version() -> str:
    try:
        return importlib.metadata.version("tfcap")
    except importlib.metadata.PackageNotFoundError:  # a checkout that was not installed
        return "unknown"
