"""The output directory: what an earlier run left there, and whether this one may go on with it."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from apache_beam.io.filesystems import FileSystems

from beam_jobs.files import (
    delete_directory,
    is_local,
    list_files,
    read_if_present,
    write_whole,
)
from beam_jobs.job import STAGING, BuildJob, plan_difference, plan_of
from records.errors import UserError
from records.manifest import DEAD_LETTERS, MANIFEST, VOCABULARY, Manifest
from records.shards import ShardName
from records.tfds import TFDS_FILES

_PLAN = "plan.json"
# In the staging directory: the manifest of the dataset that is being replaced.
REPLACED = "replaced-manifest.json"
_BESIDE_SHARDS = (MANIFEST, VOCABULARY, DEAD_LETTERS, *TFDS_FILES)


def find_dataset(output: str, name: str) -> list[str]:
    """Return the files of a published dataset, or of remains of one, the manifest first.

    These are the manifest and what stands beside it, and shards and indexes of the dataset of that
    name or of the one that the manifest names, or named before it was put aside to be replaced;
    other files in the directory are none of ours.
    """
    files = {_relative(path, output): path for path in list_files(output)}
    replaced = f"{STAGING}/{REPLACED}"
    known = set(_BESIDE_SHARDS) if {MANIFEST, replaced} & set(files) else set()
    manifests = [read_manifest(output), read_manifest(output, replaced)]
    names = {name, *(manifest.name for manifest in manifests if manifest)}
    found = [file for file in files if file in known or _dataset_of(file) in names]
    found.sort(key=lambda file: (file != MANIFEST, file))
    return [files[file] for file in found]


def read_manifest(output: str, file: str = MANIFEST) -> Manifest | None:
    """Return the manifest of the dataset in a directory; None where there is no valid one."""
    path = FileSystems.join(output, file)
    content = read_if_present(path)
    try:
        return content and Manifest.from_json(content.decode("utf-8", "replace"), path)
    except UserError:
        return None


def prepare_output(job: BuildJob, overwrite: bool) -> bool:
    """Make the output directory ready for the job, or for what is left of it.

    An unfinished run of the same plan is gone on with. An old dataset stays readable until the new
    one takes its place.

    Returns:
        False where the directory holds the whole dataset already.

    Raises:
        UserError: it holds something else and `overwrite` is not set; there is nothing to retry.
    """
    plan, published = _read_plan(job), read_manifest(job.output)
    if plan is not None and (difference := plan_difference(plan, job.plan())) and not overwrite:
        raise UserError(
            f"{job.output} holds an unfinished build with other options ({difference}): give the "
            "same ones to go on with it, or add --overwrite to start anew"
        )
    goes_on = plan is not None and not difference
    if job.retry_failed:
        _check_retry(job, goes_on, published)
    elif published is not None and not overwrite:
        if difference := plan_difference(plan_of(published), job.plan()):
            raise UserError(
                f"{job.output} already holds a dataset with other options ({difference}): choose "
                "another --output or add --overwrite"
            )
        delete_directory(job.staging)
        return False
    elif not (goes_on or overwrite) and (found := find_dataset(job.output, job.name)):
        raise UserError(
            f"{job.output} already holds a part of a dataset "
            f"({_relative(found[0], job.output)}): choose another --output or add --overwrite"
        )
    if not goes_on:
        delete_directory(job.staging)
    discard_attempts(job)
    text = json.dumps(job.plan())
    write_whole(job.staged_path(_PLAN), job.attempts, lambda output: output.write(text.encode()))
    return True


def discard_attempts(job: BuildJob) -> None:
    """Delete what is half-written; whole shards stay, for a run that goes on."""
    delete_directory(job.attempts)


def discard_if_empty(job: BuildJob) -> None:
    """Delete the staging directory of a stopped run where it holds no whole shard."""
    staged = [_relative(path, job.staging) for path in list_files(job.staging)]
    if not any(_dataset_of(file) for file in staged):
        delete_directory(job.staging)
        if not list_files(job.output):
            delete_directory(job.output)


def count_staged(job: BuildJob) -> int:
    """Return the number of whole shards that wait in the staging directory."""
    staged = {_relative(path, job.staging) for path in list_files(job.staging)}
    return len(staged.intersection(job.shard_files()))


@contextlib.contextmanager
def only_build(job: BuildJob) -> Iterator[None]:
    """Keep other runs on this machine out of the output directory while the context is open.

    Raises:
        UserError: another run is writing there, or the directory cannot be made.
    """
    if not is_local(job.output):
        yield
        return
    try:
        Path(job.output).mkdir(parents=True, exist_ok=True)
        handle = os.open(job.output, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"cannot write to --output {job.output}: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UserError(f"another build is writing {job.output}: wait for its end") from None
    finally:
        os.close(handle)
        with contextlib.suppress(OSError):
            Path(job.output).rmdir()  # only if nothing came of it


def _check_retry(job: BuildJob, goes_on: bool, published: Manifest | None) -> None:
    if published is None and not goes_on:
        raise UserError(
            f"nothing to retry: {job.output} holds no dataset: leave out --retry-failed"
        )
    if published is not None and (difference := plan_difference(plan_of(published), job.plan())):
        raise UserError(
            f"{job.output} was built with other options ({difference}): --retry-failed tries "
            "rejected pictures again, all else must be as it was; or build anew with --overwrite"
        )


def _read_plan(job: BuildJob) -> dict | None:
    content = read_if_present(job.staged_path(_PLAN))
    try:
        return content and json.loads(content)
    except ValueError:
        return None


def _relative(path: str, directory: str) -> str:
    return path[len(FileSystems.join(directory, "")) :]


def _dataset_of(file: str) -> str | None:
    try:
        return ShardName.of_file(file).dataset
    except ValueError:
        return None
