"""The source of a dataset: a captions file, and the rule that splits its pictures."""

import contextlib
import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from apache_beam.io.filesystems import FileSystems

from beam_jobs.files import UNREADABLE, open_file
from records.errors import UserError
from records.manifest import SourceInfo
from records.sources import Columns, SourceRow, read_source
from records.splits import SPLIT_FILES, HashSplits, canonical_split, parse_splits

# The value of --splits that takes the split from the captions file itself.
FROM_SOURCE = "source"


@dataclasses.dataclass(frozen=True)
class Source:
    """Where captions and splits come from.

    Attributes:
        captions: the captions file, of any form that `records.sources` reads.
        columns: what its columns or fields are called.
        splits: a directory of split files, `FROM_SOURCE`, or ratios like "train=0.9,val=0.1".
    """

    captions: str
    columns: Columns
    splits: str

    def rows(self) -> Iterator[SourceRow]:
        """Read the captions; each row has its split, or None where the picture is in none.

        A picture that only the split files name follows as a row without a caption.

        Raises:
            UserError: a file is missing or malformed.
        """
        rows = read_captions(self.captions, self.columns)
        if self.splits == FROM_SOURCE:
            return (row._replace(split=row.split and canonical_split(row.split)) for row in rows)
        if has_ratios(self.splits):
            return _split_by(HashSplits.parse(self.splits).split_of, rows)
        return _split_by_files(read_splits(self.splits), rows)


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a source holds.

    Attributes:
        pictures: captioned pictures of each split.
        info: the same, for the manifest.
    """

    pictures: Mapping[str, int]
    info: SourceInfo


def has_ratios(splits: str) -> bool:
    """Tell whether a value of --splits gives ratios."""
    return "=" in splits


def survey(source: Source) -> Survey:
    """Read the source once, so that what is wrong with it is said before anything is written.

    Raises:
        UserError: as `Source.rows`; a picture in two splits; no captioned picture in any split.
    """
    split_of: dict[str, str | None] = {}
    captions = total = 0
    for row in source.rows():
        if row.caption is None:
            continue
        if split_of.setdefault(row.key, row.split) != row.split:
            raise UserError(
                f"{source.captions}: {row.key} is in two splits, {split_of[row.key]} and "
                f"{row.split}: correct one"
            )
        if row.split is not None:
            captions += 1
            total += _row_digest(row)
    pictures = Counter(split for split in split_of.values() if split is not None)
    if not pictures:
        raise UserError(
            f"no picture left: none has both a caption in {source.captions} and a split by "
            f"--splits {source.splits}; check --captions and --splits"
        )
    unassigned = len(split_of) - pictures.total()
    # A sum does not depend on the order of the rows.
    digest = f"{total % (1 << 256):064x}"
    return Survey(pictures, SourceInfo(pictures.total(), captions, digest, unassigned))


def read_captions(path: str, columns: Columns) -> Iterator[SourceRow]:
    """Read a captions file, as `read_source` does; raises UserError where there is none."""
    try:
        with open_file(path) as file:
            yield from read_source(file, path, columns)
    except UNREADABLE:
        raise UserError(f"cannot read captions file {path}: check --captions") from None


def read_splits(directory: str) -> dict[str, str]:
    """Return the split of each picture, by key; raises UserError as `parse_splits` does."""
    with contextlib.ExitStack() as stack:
        files = {}
        for split, file in SPLIT_FILES.items():
            with contextlib.suppress(*UNREADABLE):
                path = FileSystems.join(directory, file)
                files[split] = stack.enter_context(open_file(path))
        return parse_splits(files, directory)


def _split_by(
    split_of: Callable[[str], str | None], rows: Iterator[SourceRow]
) -> Iterator[SourceRow]:
    return (row._replace(split=split_of(row.key)) for row in rows)


def _split_by_files(split_of: Mapping[str, str], rows: Iterator[SourceRow]) -> Iterator[SourceRow]:
    uncaptioned = dict(split_of)
    for row in _split_by(split_of.get, rows):
        uncaptioned.pop(row.key, None)
        yield row
    for key, split in uncaptioned.items():
        yield SourceRow(key, None, split, source_id=key, entry=0)


def _row_digest(row: SourceRow) -> int:
    # Of the four, only a caption can hold a control character.
    fields = "\x1f".join((row.key, row.split, row.source_id, row.caption))
    return int.from_bytes(hashlib.sha256(fields.encode()).digest(), "big")
