"""Output that is whole or not there: files wait in a staging directory until all of them exist.

A job that was stopped leaves whole shards there, each with a receipt: what came of it. The receipt
is written after the shard. A later run of the same plan goes on with them.
"""

import abc
import contextlib
import fcntl
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from apache_beam.io.filesystems import FileSystems

from beam_jobs.files import (
    delete_directory,
    is_local,
    list_files,
    open_file,
    read_if_present,
    write_whole,
)
from records.errors import UserError

# Inside the output directory: whatever is not published yet.
STAGING = ".incomplete"
# Why the job failed, for its launcher: Beam wraps what a step raises beyond recognition.
FAILURE = "failure.txt"
_PLAN = "plan.json"
_CHUNK = 1 << 20


class JobFailed(Exception):
    """The job came to its end, but its result is not to be published; the message says why."""


class StagedJob(abc.ABC):
    """What every job has that stages its output.

    Attributes:
        images: where the pictures are.
        output: the directory that the job fills.
        progress_file: local file that grows by a byte with each picture done, if wanted.
    """

    images: str
    output: str
    progress_file: str | None

    @abc.abstractmethod
    def shard_files(self) -> list[str]:
        """Return the names of all shards."""

    @abc.abstractmethod
    def plan(self) -> dict:
        """Return what decides the bytes of the output, pictures aside: JSON-ready, no path."""

    @property
    def staging(self) -> str:
        """The directory of files that are not published yet."""
        return FileSystems.join(self.output, STAGING)

    @property
    def attempts(self) -> str:
        """The directory of files that are not whole yet."""
        return FileSystems.join(self.staging, "attempts")

    def output_path(self, file: str) -> str:
        """Return the path of a published file."""
        return FileSystems.join(self.output, file)

    def staged_path(self, file: str) -> str:
        """Return the path of a whole file that waits to be published."""
        return FileSystems.join(self.staging, file)


def plan_difference(plan: dict, other: dict) -> str:
    """Return the first thing in which two plans differ, in words; "" where there is none."""
    for key in sorted(plan | other):
        if plan.get(key) != other.get(key):
            return f"{key} {plan.get(key)} there, {other.get(key)} now"
    return ""


def goes_on(job: StagedJob, overwrite: bool) -> bool:
    """Tell whether an unfinished run of the same plan waits in the staging directory.

    Raises:
        UserError: one of another plan does, and `overwrite` is not set.
    """
    plan = _read_json(job.staged_path(_PLAN))
    if plan is None:
        return False
    difference = plan_difference(plan, job.plan())
    if difference and not overwrite:
        raise UserError(
            f"{job.output} holds an unfinished build with other options ({difference}): give the "
            "same ones to go on with it, or add --overwrite to start anew"
        )
    return not difference


def begin(job: StagedJob, anew: bool) -> None:
    """Make the staging directory ready; with `anew`, whatever an earlier run left there goes."""
    if anew:
        delete_directory(job.staging)
    discard_attempts(job)
    write_staged(job, _PLAN, json.dumps(job.plan()))


def write_staged(job: StagedJob, file: str, text: str) -> None:
    """Write a file into the staging directory."""
    write_whole(
        job.staged_path(file), job.attempts, lambda output: output.write(text.encode("utf-8"))
    )


def move_staged(job: StagedJob, files: Sequence[str]) -> None:
    """Move files from the staging directory to their place, except those that are there already."""
    staged = [file for file in files if FileSystems.exists(job.staged_path(file))]
    if staged:
        FileSystems.rename(
            [job.staged_path(file) for file in staged], [job.output_path(file) for file in staged]
        )


def keep_receipt(job: StagedJob, file: str, outcome: dict) -> None:
    """Write the receipt of a whole shard: its outcome, JSON-ready."""
    write_staged(job, _receipt(file), json.dumps(outcome, separators=(",", ":")))


def read_receipt(job: StagedJob, file: str) -> dict | None:
    """Return the receipt of a shard; None where there is none, or a damaged one."""
    return _read_json(job.staged_path(_receipt(file)))


def file_sha256(path: str) -> str | None:
    """Return the SHA-256 of a file, 64 hex digits; None where there is no such file."""
    digest = hashlib.sha256()
    try:
        with open_file(path) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def check_shards(job: StagedJob, files: Sequence[str]) -> None:
    """Find that each shard of a job came back once; raises JobFailed where a runner lost one."""
    expected, found = job.shard_files(), Counter(files)
    for file in sorted({*expected, *found}):
        if found[file] != 1:
            fail_job(
                job, f"{file} came back {found[file]} times from the runner: run the job again"
            )


def fail_job(job: StagedJob, message: str) -> None:
    """Raise JobFailed, and leave the message for the launcher."""
    write_staged(job, FAILURE, message)
    raise JobFailed(message)


def discard_attempts(job: StagedJob) -> None:
    """Delete what is half-written; whole shards stay, for a run that goes on."""
    delete_directory(job.attempts)


def discard_if_empty(job: StagedJob) -> None:
    """Delete the staging directory of a stopped run where it holds no whole shard."""
    if not count_staged(job):
        delete_directory(job.staging)
        if not list_files(job.output):
            delete_directory(job.output)


def count_staged(job: StagedJob) -> int:
    """Return the number of whole shards that wait in the staging directory."""
    staged = {relative(path, job.staging) for path in list_files(job.staging)}
    return len(staged.intersection(job.shard_files()))


def relative(path: str, directory: str) -> str:
    """Return the path of a file as seen from a directory above it."""
    return path[len(FileSystems.join(directory, "")) :]


@contextlib.contextmanager
def only_build(job: StagedJob) -> Iterator[None]:
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


def _receipt(file: str) -> str:
    return f"receipt-{file}.json"


def _read_json(path: str) -> dict | None:
    content = read_if_present(path)
    try:
        return content and json.loads(content)
    except ValueError:  # the disk lost it, in a power cut perhaps
        return None
