"""What every command that runs a staged job does: run it, report what stops it, tidy up."""

import argparse
import contextlib
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError

from beam_jobs.files import read_if_present
from beam_jobs.interrupts import keyboard_interrupts
from beam_jobs.progress import ProgressBar
from beam_jobs.runners import is_template, make_pipeline
from beam_jobs.staging import (
    FAILURE,
    StagedJob,
    count_staged,
    discard_attempts,
    discard_if_empty,
)
from records.errors import UserError
from records.manifest import MANIFEST

Job = TypeVar("Job", bound=StagedJob)

# Of what Beam says about a failed step, the line of what was raised there.
_MENDABLE = re.compile(
    r"^(?:[\w.]+\.)?((?:OS|Permission|FileNotFound|NotADirectory|BeamIO|User)Error: .*)$",
    re.MULTILINE,
)
_STEP = re.compile(r" \[while running '[^']*'\]")  # Beam's own words behind it


def run_command(prog: str, command: Callable[[], str]) -> int:
    """Run a command and print what it returns; what stops it is one line on standard error.

    Returns:
        the exit code: 0, 2 for what a user can mend, 130 after Ctrl-C.
    """
    # What Beam logs of a failure, its exception says again.
    logging.getLogger().setLevel(logging.CRITICAL)
    try:
        print(command())
    except UserError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 2
    except (OSError, BeamIOError) as error:
        print(f"{prog}: error: {error}: check path and disk", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(f"{prog}: interrupted{interrupt}", file=sys.stderr)
        return 130
    return 0


def run_job(
    job: Job,
    build_graph: Callable[[beam.Pipeline, Job], None],
    pictures: int,
    arguments: argparse.Namespace,
    for_beam: list[str],
) -> str | None:
    """Run a job to its end; whatever stops it, nothing half-written stays.

    Args:
        job: the run.
        build_graph: lays it out.
        pictures: that there are.
        arguments: the command's own options.
        for_beam: the options meant for Beam.

    Returns:
        What is to be said where the job was only written down, as a template; else None.

    Raises:
        UserError: no picture is left, too many are bad, or a disk is full or out of reach.
        KeyboardInterrupt: by Ctrl-C; it says what is kept.
    """
    pipeline = make_pipeline(arguments, for_beam)
    build_graph(pipeline, job)
    if is_template(pipeline):
        pipeline.run()  # Dataflow runs it after this process has ended
        return f"handed to Dataflow; {job.output_path(MANIFEST)} comes last"
    bar = contextlib.nullcontext()
    if job.progress_file is not None:
        bar = ProgressBar(Path(job.progress_file), pictures)
    try:
        with bar, keyboard_interrupts():
            _run_pipeline(pipeline)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_kept(job)) from None
    except Exception as error:
        failure = read_if_present(job.staged_path(FAILURE))
        if failure is not None:
            raise UserError(failure.decode("utf-8")) from None
        if reason := _mendable(error):
            raise UserError(f"the job failed: {reason}{_kept(job)}") from None
        raise
    finally:
        discard_attempts(job)
        discard_if_empty(job)
    return None


def _run_pipeline(pipeline: beam.Pipeline) -> None:
    result = pipeline.run()
    try:
        result.wait_until_finish()
    except KeyboardInterrupt:
        # A remote job would go on writing.
        result.cancel()
        raise


def _mendable(error: Exception) -> str | None:
    """Return what a user can mend of what a step raised; None for anything else."""
    # What a step's setup raises, the local runner passes on as it is; it wraps all else.
    found = [str(error)] if isinstance(error, UserError) else _MENDABLE.findall(str(error))
    return _STEP.sub("", found[-1]).removeprefix("UserError: ") if found else None


def _kept(job: StagedJob) -> str:
    """Return what is said of the shards of a run that was stopped."""
    staged, shards = count_staged(job), len(job.shard_files())
    if not staged:
        return "; nothing was kept"
    return f"; {staged} of {shards} shards are kept, the same command goes on"
