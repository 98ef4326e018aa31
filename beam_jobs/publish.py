"""The job's last step: from staged shards to a dataset that readers may open."""

import hashlib
from collections import Counter
from collections.abc import Mapping

from apache_beam.io.filesystems import FileSystems

from beam_jobs.files import delete_directory, delete_files, write_whole
from beam_jobs.job import BuildJob
from beam_jobs.outcomes import Outcome
from beam_jobs.output import REPLACED, find_dataset
from records.dead_letters import dead_letter_lines
from records.manifest import DEAD_LETTERS, MANIFEST, VOCABULARY, Manifest, SplitInfo
from records.shards import ShardName
from records.tfds import tfds_files
from records.vocabulary import build_vocabulary

# Why the job failed, for its launcher: Beam wraps what a step raises beyond recognition.
FAILURE = "failure.txt"


class JobFailed(Exception):
    """The job came to its end, but its result is not to be published; the message says why."""


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
    _check_shards(outcome, job)
    if not outcome.records:
        _fail_without_pictures(outcome, job)
    files = beside_shards(outcome, job)
    _write_staged(job, DEAD_LETTERS, files[DEAD_LETTERS])
    _check_budget(outcome, job)
    for file, text in files.items():
        _write_staged(job, file, text)
    shards = [file for shard in outcome.shards for file in (shard.file, shard.index_file)]
    new = {job.output_path(file) for file in (*shards, *files)}
    # Without its manifest, no reader takes what is left of an old dataset for a whole one.
    if FileSystems.exists(job.output_path(MANIFEST)):
        FileSystems.rename([job.output_path(MANIFEST)], [job.staged_path(REPLACED)])
    delete_files([path for path in find_dataset(job.output, job.name) if path not in new])
    _move(job, [*shards, *(file for file in files if file != MANIFEST)])
    _move(job, [MANIFEST])
    delete_directory(job.staging)


def beside_shards(outcome: Outcome, job: BuildJob) -> dict[str, str]:
    """Return the text of each file that stands beside the shards."""
    vocabulary = build_vocabulary(outcome.word_counts, job.caption.min_count).to_text()
    manifest = make_manifest(job, outcome, vocabulary)
    return {
        DEAD_LETTERS: dead_letter_lines(outcome.dead_letters),
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


def _check_budget(outcome: Outcome, job: BuildJob) -> None:
    pictures = outcome.records + outcome.rejected
    if job.max_bad is not None and not job.max_bad.allows(outcome.rejected, pictures):
        _fail(
            job,
            f"{outcome.rejected} of {pictures} pictures "
            f"({100 * outcome.rejected / pictures:.2f}%) were rejected, more than --max-bad "
            f"{job.max_bad} ({_counts(outcome.dead_letter_counts())}): see "
            f"{job.staged_path(DEAD_LETTERS)}, mend them and add --retry-failed, or raise "
            "--max-bad; the good ones are kept",
        )


def _check_shards(outcome: Outcome, job: BuildJob) -> None:
    expected, found = job.shard_files(), Counter(shard.file for shard in outcome.shards)
    for file in sorted({*expected, *found}):
        if found[file] != 1:
            _fail(job, f"{file} came back {found[file]} times from the runner: run the job again")


def _fail_without_pictures(outcome: Outcome, job: BuildJob) -> None:
    path = job.output_path(DEAD_LETTERS)
    text = dead_letter_lines(outcome.dead_letters)
    write_whole(path, job.attempts, lambda output: output.write(text.encode()))
    counts = _counts(outcome.dead_letter_counts())
    # Nothing of this run is worth keeping: the pictures were looked for in the wrong place.
    delete_directory(job.staging)
    _fail(job, f"no picture left ({counts}): check --images {job.images} and {path}")


def _fail(job: BuildJob, message: str) -> None:
    _write_staged(job, FAILURE, message)
    raise JobFailed(message)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())


def _move(job: BuildJob, files: list[str]) -> None:
    """Move files from the staging directory to their place, except those that are there already."""
    staged = [file for file in files if FileSystems.exists(job.staged_path(file))]
    if staged:
        FileSystems.rename(
            [job.staged_path(file) for file in staged], [job.output_path(file) for file in staged]
        )


def _write_staged(job: BuildJob, file: str, text: str) -> None:
    write_whole(
        job.staged_path(file), job.attempts, lambda output: output.write(text.encode("utf-8"))
    )
