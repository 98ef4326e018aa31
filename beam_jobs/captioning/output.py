"""The output directory: what an earlier run left there, and how a finished one is published."""

import contextlib

from apache_beam.io.filesystems import FileSystems

from beam_jobs.captioning.job import CaptionJob, CaptionOutcome
from beam_jobs.files import delete_directory, delete_files, list_files, read_if_present
from beam_jobs.rejects import stage_dead_letters
from beam_jobs.staging import (
    begin,
    check_shards,
    file_sha256,
    goes_on,
    move_staged,
    plan_difference,
    read_receipt,
    relative,
    write_staged,
)
from records.caption_manifest import CaptionManifest
from records.caption_rows import is_shard_name
from records.dead_letters import count_reasons
from records.errors import UserError
from records.manifest import DEAD_LETTERS, MANIFEST


def read_manifest(output: str) -> CaptionManifest | None:
    """Return the manifest of a directory of captions; None where there is none.

    Raises:
        UserError: the directory has the manifest of something else.
    """
    path = FileSystems.join(output, MANIFEST)
    content = read_if_present(path)
    return content and CaptionManifest.from_json(content.decode("utf-8", "replace"), path)


def prepare_output(job: CaptionJob, overwrite: bool) -> bool:
    """Make the output directory ready for the job, or for what is left of it.

    An unfinished run of the same plan is gone on with. Old captions stay readable until the new
    ones take their place.

    Returns:
        False where the directory holds all captions already.

    Raises:
        UserError: it holds something else, and `overwrite` is not set or would destroy a dataset.
    """
    try:
        published = read_manifest(job.output)
    except UserError as error:
        raise UserError(f"--output {job.output} is not free: {error}") from None
    unfinished = goes_on(job, overwrite)
    if published is not None and not overwrite:
        if difference := plan_difference(published.plan, job.plan()):
            raise UserError(
                f"{job.output} already holds captions of another job ({difference}): choose "
                "another --output or add --overwrite"
            )
        delete_directory(job.staging)
        return False
    if not (unfinished or overwrite) and (found := _find_shards(job.output)):
        raise UserError(
            f"{job.output} already holds a part of other captions "
            f"({relative(found[0], job.output)}): choose another --output or add --overwrite"
        )
    begin(job, anew=not unfinished)
    return True


def find_whole(job: CaptionJob, file: str) -> CaptionOutcome | None:
    """Return the outcome of a shard that an earlier run wrote whole; None where none did."""
    receipt = read_receipt(job, file)
    with contextlib.suppress(ValueError, KeyError, TypeError):  # the disk lost a part of it
        outcome = receipt and CaptionOutcome.from_dict(receipt)
        if outcome:
            (shard,) = outcome.shards
            for place in (job.staged_path, job.output_path):
                if file_sha256(place(file)) == shard.sha256:
                    return outcome
    return None


def publish_captions(outcome: CaptionOutcome, job: CaptionJob) -> None:
    """Move the staged captions to their place, the manifest last; what was there before goes.

    Running it again, after it was stopped at any point or in a second attempt of the bundle, ends
    in the same files.

    Args:
        outcome: of all shards.
        job: the run.

    Raises:
        JobFailed: no picture is left, or more were rejected than the job allows; a runner has lost
            or doubled the outcome of a shard.
    """
    check_shards(job, [shard.file for shard in outcome.shards])
    remedy = "mend them and add --overwrite"
    stage_dead_letters(job, outcome.dead_letters, outcome.rows, job.max_bad, remedy)
    write_staged(job, MANIFEST, make_manifest(job, outcome).to_json())
    shards = job.shard_files()
    new = {job.output_path(file) for file in shards}
    # Without their manifest, no reader takes what is left of old captions for all of them.
    delete_files([job.output_path(MANIFEST)])
    delete_files([path for path in _find_shards(job.output) if path not in new])
    move_staged(job, [*shards, DEAD_LETTERS])
    move_staged(job, [MANIFEST])
    delete_directory(job.staging)


def make_manifest(job: CaptionJob, outcome: CaptionOutcome) -> CaptionManifest:
    """Return the manifest of a finished job."""
    return CaptionManifest(
        images=job.images,
        plan=job.plan(),
        card=job.export.card,
        shards=tuple(sorted(outcome.shards, key=lambda shard: shard.file)),
        embedding_size=outcome.embedding_size,
        rejected=len(outcome.dead_letters),
        dead_letters=count_reasons(outcome.dead_letters),
    )


def _find_shards(output: str) -> list[str]:
    return [path for path in list_files(output) if is_shard_name(relative(path, output))]
