"""The audit of a dataset: pictures that are there twice, above all in two splits, and captions
that teach nothing.

`audit_dataset` is the entry; `Audit` (module `report`) is what it returns.
"""

from records.audit.report import (
    Audit,
    Degeneracy,
    DegenerateCaption,
    Likeness,
    PicturePair,
    SharedCaption,
)
from records.audit.run import audit_dataset

__all__ = [
    "Audit",
    "Degeneracy",
    "DegenerateCaption",
    "Likeness",
    "PicturePair",
    "SharedCaption",
    "audit_dataset",
]
