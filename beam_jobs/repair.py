"""Repair: damaged files of a dataset are made anew, and only those.

Shards are made from the source again, everything else from the shards and the manifest. A shard
takes the place of the damaged one only where it is what the manifest says, byte for byte.
"""

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

from beam_jobs.earlier import stored_records
from beam_jobs.files import delete_directory
from beam_jobs.job import BuildJob, plan_of
from beam_jobs.outcomes import Tally
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.source import Source, survey
from beam_jobs.staging import only_build, plan_difference
from records.errors import UserError
from records.files import write_whole
from records.index import encode_index
from records.manifest import VOCABULARY, Manifest, ShardInfo
from records.sources import SourceRow
from records.tfds import tfds_files
from records.tfrecord import scan_frames
from records.verify import stray_files
from records.vocabulary import build_vocabulary


def repair_job(directory: Path, manifest: Manifest, images: str, source: Source) -> BuildJob:
    """Return the job that would build the dataset again.

    Raises:
        UserError: the source is not the one that the dataset was built from.
    """
    job = BuildJob(
        images=images,
        source=source,
        info=survey(source).info,
        output=str(directory.absolute()),
        name=manifest.name,
        picture=manifest.picture,
        caption=manifest.caption,
        shard_counts={split: len(manifest.split(split).shards) for split in manifest.splits},
    )
    if difference := plan_difference(plan_of(manifest), job.plan()):
        raise UserError(
            f"{directory} was built from another source ({difference}): give the --captions and "
            "--splits that it was built from"
        )
    return job


def repair(job: BuildJob, manifest: Manifest, damaged: Collection[str]) -> Iterator[str]:
    """Make damaged files anew.

    Args:
        job: of `repair_job`.
        manifest: of the dataset.
        damaged: names of the files.

    Yields:
        a line on each file that was dealt with.

    Raises:
        UserError: another run is writing the dataset.
    """
    directory = Path(job.output)
    shards = [shard for info in manifest.split_infos.values() for shard in info.shards]
    with only_build(job):
        try:
            yield from _repair_shards(job, [shard for shard in shards if shard.file in damaged])
        finally:
            delete_directory(job.staging)
        for shard in shards:
            if shard.index_file in damaged:
                yield _repair_index(directory, shard)
        for file in stray_files(directory, manifest):
            (directory / file).unlink()
            yield f"{file}: of another build, deleted"
        if VOCABULARY in damaged:
            yield _repair_vocabulary(directory, manifest)
        for file, text in tfds_files(manifest).items():
            if file in damaged:
                write_whole(directory / file, text)
                yield f"{file}: repaired"


def _repair_shards(job: BuildJob, damaged: list[ShardInfo]) -> Iterator[str]:
    if not damaged:
        return
    pictures: dict[str, dict[str, list[SourceRow]]] = {shard.file: {} for shard in damaged}
    for row in job.source.rows():
        if row.split is not None and (file := str(job.shard(row.key, row.split))) in pictures:
            pictures[file].setdefault(row.key, []).append(row)
    writer = ShardWriter(job)
    for shard in damaged:
        (built,) = writer.build(shard.file, pictures[shard.file]).shards
        if built == shard:
            Path(job.staged_path(shard.file)).replace(job.output_path(shard.file))
            yield f"{shard.file}: repaired"
        else:
            yield (
                f"{shard.file}: not repaired: the pictures give {built.records} records with "
                f"SHA-256 {built.sha256}, the manifest says {shard.records} with {shard.sha256}"
            )


def _repair_index(directory: Path, shard: ShardInfo) -> str:
    ends = [frame.end for frame in scan_frames(directory / shard.file, lambda corrupt: None)]
    index = encode_index([0, *ends])
    if hashlib.sha256(index).hexdigest() != shard.index_sha256:
        return f"{shard.index_file}: not repaired: its shard is damaged"
    write_whole(directory / shard.index_file, index)
    return f"{shard.index_file}: repaired"


def _repair_vocabulary(directory: Path, manifest: Manifest) -> str:
    tally = Tally()
    has_training = "train" in manifest.splits
    for path in manifest.shard_paths(directory, "train") if has_training else ():
        for record in stored_records(str(path)):
            tally.add(record)
    vocabulary = build_vocabulary(tally.word_counts, manifest.caption.min_count).to_text()
    if hashlib.sha256(vocabulary.encode()).hexdigest() != manifest.vocabulary_sha256:
        return f"{VOCABULARY}: not repaired: the training shards give another one"
    write_whole(directory / VOCABULARY, vocabulary)
    return f"{VOCABULARY}: repaired"
