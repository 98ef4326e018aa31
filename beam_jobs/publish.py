"""The job's last step: from staged shards to a dataset that readers may open."""

import hashlib

from apache_beam.io.filesystems import FileSystems

from beam_jobs.files import delete_directory, delete_files
from beam_jobs.job import BuildJob
from beam_jobs.outcomes import Outcome
from beam_jobs.output import REPLACED, find_dataset
from beam_jobs.rejects import stage_dead_letters
from beam_jobs.staging import check_shards, move_staged, write_staged
from records.manifest import DEAD_LETTERS, MANIFEST, VOCABULARY, Manifest, SplitInfo
from records.shards import ShardName
from records.tfds import tfds_files
from records.vocabulary import build_vocabulary


def publish_dataset(outcome: Outcome, job: BuildJob) -> None:
    """Move the staged dataset to its place, the manifest last; whatever was there before goes.

    Running it again, after it was stopped at any point or in a second attempt of the bundle, ends
    in the same dataset.

    Args:
        outcome: of all shards.
        job: the run.

    Raises:
        JobFailed: no picture is left, or more were rejected than the job allows; a runner has lost
            or doubled the outcome of a shard.
    """
    check_shards(job, [shard.file for shard in outcome.shards])
    remedy = "mend them and add --retry-failed"
    stage_dead_letters(job, outcome.dead_letters, outcome.records, job.max_bad, remedy)
    files = beside_shards(outcome, job)
    for file, text in files.items():
        write_staged(job, file, text)
    shards = [file for shard in outcome.shards for file in (shard.file, shard.index_file)]
    new = {job.output_path(file) for file in (*shards, *files, DEAD_LETTERS)}
    # Without its manifest, no reader takes what is left of an old dataset for a whole one.
    if FileSystems.exists(job.output_path(MANIFEST)):
        FileSystems.rename([job.output_path(MANIFEST)], [job.staged_path(REPLACED)])
    delete_files([path for path in find_dataset(job.output, job.name) if path not in new])
    others = [DEAD_LETTERS, *(file for file in files if file != MANIFEST)]
    move_staged(job, [*shards, *others])
    move_staged(job, [MANIFEST])
    delete_directory(job.staging)


def beside_shards(outcome: Outcome, job: BuildJob) -> dict[str, str]:
    """Return the text of each file that stands beside the shards and the dead letters."""
    vocabulary = build_vocabulary(outcome.word_counts, job.caption.min_count).to_text()
    manifest = make_manifest(job, outcome, vocabulary)
    return {
        VOCABULARY: vocabulary,
        **tfds_files(manifest),
        MANIFEST: manifest.to_json(),
    }


def make_manifest(job: BuildJob, outcome: Outcome, vocabulary: str) -> Manifest:
    """Return the manifest of a finished job.

    Args:
        job: the run.
        outcome: of all of it.
        vocabulary: the text of the vocabulary file.
    """
    shards = sorted(outcome.shards, key=lambda shard: shard.file)
    return Manifest(
        name=job.name,
        picture=job.picture,
        caption=job.caption,
        vocabulary_size=vocabulary.count("\n"),
        vocabulary_sha256=hashlib.sha256(vocabulary.encode()).hexdigest(),
        split_infos={
            split: SplitInfo(
                tuple(shard for shard in shards if ShardName.parse(shard.file).split == split)
            )
            for split in job.shard_counts
        },
        source=job.info,
        rejected=outcome.rejected,
        dead_letters=outcome.dead_letter_counts(),
        statistics=outcome.statistics(),
    )
