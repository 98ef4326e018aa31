"""What every form of caption source is read to, and the columns that some forms let one name."""

import dataclasses
from typing import NamedTuple


class SourceRow(NamedTuple):
    """One caption of one picture, as the source has it, or a picture without a caption.

    Attributes:
        key: the picture's plain file name.
        caption: may be empty; None where the source names the picture but has no caption for it.
        split: the source's own word for it; None where it says nothing.
        source_id: what the source calls the picture: COCO's image id, Karpathy's imgid, the "id"
            of a JSONL object; else the key.
        entry: 0 in forms with one row per caption; in forms with one entry per picture, the
            ordinal of that entry from 1, so that two entries for one key can be told apart.
    """

    key: str
    caption: str | None
    split: str | None
    source_id: str
    entry: int


@dataclasses.dataclass(frozen=True)
class Columns:
    """Names of the columns of a CSV or TSV file, or of the fields of JSONL objects.

    Attributes:
        image: holds the file name of the picture.
        caption: holds a caption.
        split: holds the split; None: no split is read, even where a column is called "split".
    """

    image: str = "image"
    caption: str = "caption"
    split: str | None = None

    def __post_init__(self):
        if not all(self.names):
            raise ValueError(f"a column must have a name, got {self.names!r}")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"columns must have different names, got {self.names!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that a file must have."""
        named = (self.image, self.caption)
        return named if self.split is None else (*named, self.split)


DEFAULT_COLUMNS = Columns()
