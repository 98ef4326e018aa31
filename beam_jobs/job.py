"""The job's description: everything that a worker needs to know, small enough to be pickled."""

import dataclasses
from collections.abc import Mapping

from beam_jobs.rejects import Budget
from beam_jobs.source import Source
from beam_jobs.staging import StagedJob
from records.captions import CaptionSpec
from records.manifest import SCHEMA_VERSION, Manifest, SourceInfo
from records.pictures import PictureSpec
from records.shards import ShardName, shard_of


@dataclasses.dataclass(frozen=True)
class BuildJob(StagedJob):
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

    def shard(self, key: str, split: str) -> ShardName:
        """Return the shard that a picture belongs to, or where its dead letter is written.

        A split of which no picture has a caption has no shards of its own.
        """
        if split not in self.shard_counts:
            split = min(self.shard_counts)
        count = self.shard_counts[split]
        return ShardName(self.name, split, shard_of(key, count), count)

    def shard_files(self) -> list[str]:
        return [
            str(ShardName(self.name, split, index, count))
            for split, count in self.shard_counts.items()
            for index in range(count)
        ]

    def plan(self) -> dict:
        return _plan(self.name, self.picture, self.caption, self.shard_counts, self.info)


def plan_of(manifest: Manifest) -> dict:
    """Return the `BuildJob.plan` that a dataset was built by."""
    shard_counts = {split: len(info.shards) for split, info in manifest.split_infos.items()}
    return _plan(manifest.name, manifest.picture, manifest.caption, shard_counts, manifest.source)


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
