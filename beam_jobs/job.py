"""The job's description: everything that a worker needs to know, small enough to be pickled."""

import dataclasses
from collections.abc import Mapping

from apache_beam.io.filesystems import FileSystems

from beam_jobs.source import Source
from records.captions import CaptionSpec
from records.manifest import SCHEMA_VERSION, Manifest, SourceInfo
from records.pictures import PictureSpec
from records.shards import ShardName, shard_of

# Inside the output directory: whatever is not published yet.
STAGING = ".incomplete"


@dataclasses.dataclass(frozen=True)
class Budget:
    """How many pictures may be rejected.

    Attributes:
        limit: a number of pictures, or a share of all of them.
        is_share: whether it is a share, between 0 and 1.
    """

    limit: float
    is_share: bool

    def __post_init__(self):
        if not 0 <= self.limit <= (1 if self.is_share else float("inf")):
            raise ValueError(f"must be a percentage from 0% to 100% or a count, got {self.limit}")

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read "1%" or "25"; raises ValueError for anything else."""
        if text.endswith("%"):
            return cls(float(text[:-1]) / 100, is_share=True)
        return cls(int(text), is_share=False)

    def allows(self, rejected: int, pictures: int) -> bool:
        """Tell whether so many of the pictures may be rejected."""
        return rejected <= (self.limit * pictures if self.is_share else self.limit)

    def __str__(self):
        return f"{100 * self.limit:g}%" if self.is_share else str(self.limit)


@dataclasses.dataclass(frozen=True)
class BuildJob:
    """One run of `build_records`.

    Attributes:
        images: where the pictures are: a directory or an archive.
        source: where captions and splits come from.
        info: what the source holds.
        output: the dataset directory.
        name: of the dataset.
        picture: the picture policy.
        caption: the caption policy.
        shard_counts: shards of each split that has captioned pictures.
        max_bad: rejected pictures that are put up with; None for any number.
        retry_failed: whether rejected pictures of an earlier build are tried again, and all other
            records of it kept.
        progress_file: local file that grows by a byte with each picture done, if wanted.
    """

    images: str
    source: Source
    info: SourceInfo
    output: str
    name: str
    picture: PictureSpec
    caption: CaptionSpec
    shard_counts: Mapping[str, int]
    max_bad: Budget | None = None
    retry_failed: bool = False
    progress_file: str | None = None

    @property
    def staging(self) -> str:
        """The directory of files that are not published yet."""
        return FileSystems.join(self.output, STAGING)

    @property
    def attempts(self) -> str:
        """The directory of files that are not whole yet."""
        return FileSystems.join(self.staging, "attempts")

    def output_path(self, file: str) -> str:
        """Return the path of a file of the published dataset."""
        return FileSystems.join(self.output, file)

    def staged_path(self, file: str) -> str:
        """Return the path of a whole file that waits to be published."""
        return FileSystems.join(self.staging, file)

    def shard(self, key: str, split: str) -> ShardName:
        """Return the shard that a picture belongs to, or where its dead letter is written.

        A split of which no picture has a caption has no shards of its own.
        """
        if split not in self.shard_counts:
            split = min(self.shard_counts)
        count = self.shard_counts[split]
        return ShardName(self.name, split, shard_of(key, count), count)

    def shard_files(self) -> list[str]:
        """Return the names of all shards."""
        return [
            str(ShardName(self.name, split, index, count))
            for split, count in self.shard_counts.items()
            for index in range(count)
        ]

    def plan(self) -> dict:
        """Return what decides the bytes of the dataset, pictures aside: JSON-ready, no path."""
        return _plan(self.name, self.picture, self.caption, self.shard_counts, self.info)


def plan_of(manifest: Manifest) -> dict:
    """Return the `BuildJob.plan` that a dataset was built by."""
    shard_counts = {split: len(info.shards) for split, info in manifest.split_infos.items()}
    return _plan(manifest.name, manifest.picture, manifest.caption, shard_counts, manifest.source)


def plan_difference(plan: dict, other: dict) -> str:
    """Return the first thing in which two plans differ, in words; "" where there is none."""
    for key in sorted(plan | other):
        if plan.get(key) != other.get(key):
            return f"{key} {plan.get(key)} there, {other.get(key)} now"
    return ""


def _plan(
    name: str,
    picture: PictureSpec,
    caption: CaptionSpec,
    shard_counts: Mapping[str, int],
    info: SourceInfo,
) -> dict:
    return {
        "schema version": SCHEMA_VERSION,
        "name": name,
        **{f"picture {field}": value for field, value in picture.to_dict().items()},
        **{f"caption {field}": value for field, value in caption.to_dict().items()},
        "shards": dict(sorted(shard_counts.items())),
        "captions and splits": info.digest,
    }
