"""The job's description: everything that a worker needs to know, small enough to be pickled."""

import dataclasses
from collections.abc import Mapping

from apache_beam.io.filesystems import FileSystems

from beam_jobs.files import read_if_present
from records.captions import CaptionSpec
from records.errors import UserError
from records.pictures import PictureSpec
from records.shards import ShardName
from records.splits import SPLIT_FILES, parse_splits


@dataclasses.dataclass(frozen=True)
class BuildJob:
    """One run of `build_records`.

    Attributes:
        images: directory of the pictures.
        captions: the caption file.
        splits: directory of the split files.
        output: the dataset directory.
        staging: directory inside `output` for files that are not whole yet.
        name: of the dataset.
        picture: the picture policy.
        caption: how captions are cleaned.
        min_count: occurrences in the training split that take a word into the vocabulary.
        shard_counts: shards of each split that has captioned pictures.
        progress_file: local file that grows by a byte with each picture done, if wanted.
    """

    images: str
    captions: str
    splits: str
    output: str
    staging: str
    name: str
    picture: PictureSpec
    caption: CaptionSpec
    min_count: int
    shard_counts: Mapping[str, int]
    progress_file: str | None

    def output_path(self, file: str) -> str:
        """Return the path of a file of the dataset."""
        return FileSystems.join(self.output, file)

    def shard_files(self) -> list[str]:
        """Return the names of all shards."""
        return [
            str(ShardName(self.name, split, index, count))
            for split, count in self.shard_counts.items()
            for index in range(count)
        ]


def read_captions_file(path: str) -> bytes:
    """Return the content of the caption file; raises UserError where there is none."""
    content = read_if_present(path)
    if content is None:
        raise UserError(f"cannot read captions file {path}: check --captions")
    return content


def read_splits(directory: str) -> dict[str, str]:
    """Return the split of each picture, by key; raises UserError as `parse_splits` does."""
    contents = {
        split: read_if_present(FileSystems.join(directory, file))
        for split, file in SPLIT_FILES.items()
    }
    present = {split: content for split, content in contents.items() if content is not None}
    return parse_splits(present, directory)
