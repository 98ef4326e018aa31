"""The command that turns captioned pictures into records: `python -m beam_jobs.build_records`."""

import argparse
import contextlib
import logging
import math
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from beam_jobs.dry_run import check_submission, dry_run
from beam_jobs.files import is_local, read_if_present
from beam_jobs.interrupts import keyboard_interrupts
from beam_jobs.job import BuildJob
from beam_jobs.options import (
    LOCAL_RUNNER,
    PICTURES_PER_SHARD,
    caption_spec,
    is_template,
    make_pipeline,
    parse_arguments,
    picture_spec,
)
from beam_jobs.output import (
    count_staged,
    discard_attempts,
    discard_if_empty,
    only_build,
    prepare_output,
    read_manifest,
)
from beam_jobs.paths import make_source, resolve_path
from beam_jobs.pipeline import build_graph
from beam_jobs.progress import ProgressBar
from beam_jobs.publish import FAILURE
from beam_jobs.source import survey
from beam_jobs.stores import open_store
from records.errors import UserError
from records.manifest import DEAD_LETTERS, MANIFEST, Manifest

# Of what Beam says about a failed step, the line of what was raised there.
_MENDABLE = re.compile(
    r"^(?:[\w.]+\.)?((?:OS|Permission|FileNotFound|NotADirectory|BeamIO|User)Error: .*)$",
    re.MULTILINE,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        arguments, for_beam = parse_arguments(argv)
        # What Beam logs of a failure, its exception says again.
        logging.getLogger().setLevel(logging.CRITICAL)
        check_submission(arguments, for_beam)
        with tempfile.TemporaryDirectory(prefix="build_records-") as scratch:
            job = plan_job(arguments, Path(scratch) / "progress")
            if arguments.dry_run:
                print(dry_run(job, arguments, for_beam))
                return 0
            with only_build(job):
                if not prepare_output(job, arguments.overwrite):
                    print("already built; pictures were not compared (--overwrite builds anew)")
                elif is_template(pipeline := make_pipeline(arguments, for_beam)):
                    build_graph(pipeline, job)
                    pipeline.run()  # Dataflow runs it after this process has ended
                    print(f"handed to Dataflow; {job.output_path(MANIFEST)} comes last")
                    return 0
                else:
                    run_job(job, pipeline)
    except UserError as error:
        print(f"build_records: error: {error}", file=sys.stderr)
        return 2
    except (OSError, BeamIOError) as error:
        print(f"build_records: error: {error}: check path and disk", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(f"build_records: interrupted{interrupt}", file=sys.stderr)
        return 130
    print(summary(read_manifest(job.output), job.output))
    return 0


def plan_job(arguments: argparse.Namespace, progress_file: Path) -> BuildJob:
    """Look at the input once, so that what is wrong with it is said before anything is written.

    Args:
        arguments: the checked options.
        progress_file: where workers on this machine count the pictures.

    Raises:
        UserError: a directory or file is missing or malformed, or no picture has both a caption
            and a split.
    """
    images, output = resolve_path(arguments.images), resolve_path(arguments.output)
    if is_local(images):
        open_store(images)  # a remote archive is for the workers to fetch
    source = make_source(arguments)
    surveyed = survey(source)
    return BuildJob(
        images=images,
        source=source,
        info=surveyed.info,
        output=output,
        name=arguments.name,
        picture=picture_spec(arguments),
        caption=caption_spec(arguments),
        shard_counts=shard_counts(surveyed.pictures, arguments.shards_per_split),
        max_bad=arguments.max_bad,
        retry_failed=arguments.retry_failed,
        progress_file=str(progress_file) if arguments.runner == LOCAL_RUNNER else None,
    )


def shard_counts(pictures: Mapping[str, int], wanted: int | None) -> dict[str, int]:
    """Return the number of shards of each split.

    Args:
        pictures: of each split.
        wanted: shards of each split; None for one per `PICTURES_PER_SHARD` pictures.

    Raises:
        UserError: a split has fewer pictures than shards are wanted.
    """
    for split, count in sorted(pictures.items()):
        if wanted is not None and wanted > count:
            raise UserError(
                f"--shards-per-split {wanted}: split {split} has only {count} pictures; ask for "
                "fewer shards"
            )
    return {
        split: wanted or math.ceil(count / PICTURES_PER_SHARD)
        for split, count in sorted(pictures.items())
    }


def run_job(job: BuildJob, pipeline: beam.Pipeline) -> None:
    """Run the pipeline; whatever stops it, nothing half-written stays.

    Raises:
        UserError: no picture is left, too many are bad, or a disk is full or out of reach.
        KeyboardInterrupt: by Ctrl-C; it says what is kept.
    """
    bar = contextlib.nullcontext()
    if job.progress_file is not None:
        bar = ProgressBar(Path(job.progress_file), job.info.pictures)
    try:
        with bar, keyboard_interrupts():
            _run_pipeline(job, pipeline)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_kept(job)) from None
    except Exception as error:
        failure = read_if_present(job.staged_path(FAILURE))
        if failure is not None:
            raise UserError(failure.decode("utf-8")) from None
        if found := _MENDABLE.findall(str(error)):
            raise UserError(f"the job failed: {found[-1]}{_kept(job)}") from None
        raise
    finally:
        discard_attempts(job)
        discard_if_empty(job)


def summary(manifest: Manifest, output: str) -> str:
    """Return what the command prints at its end."""
    lines = []
    for split in manifest.splits:
        info = manifest.split(split)
        counts = f"{info.records:>8} pictures{info.captions:>8} captions"
        lines.append(f"{split:<6}{counts}{len(info.shards):>4} shards")
    lines.append(f"vocabulary    {manifest.vocabulary_size} words")
    lines.append(f"in no split   {manifest.source.unassigned} captioned pictures")
    letters = ", ".join(f"{count} {reason}" for reason, count in manifest.dead_letters.items())
    where = f" in {FileSystems.join(output, DEAD_LETTERS)}" if letters else ""
    lines.append(f"dead letters  {letters or 'none'}{where}")
    lines.append(f"fingerprint   {manifest.fingerprint}")
    lines.append(f"dataset       {output}")
    return "\n".join(lines)


def _run_pipeline(job: BuildJob, pipeline: beam.Pipeline) -> None:
    build_graph(pipeline, job)
    result = pipeline.run()
    try:
        result.wait_until_finish()
    except KeyboardInterrupt:
        # A remote job would go on writing.
        result.cancel()
        raise


def _kept(job: BuildJob) -> str:
    """Return what is said of the shards of a run that was stopped."""
    staged, shards = count_staged(job), len(job.shard_files())
    if not staged:
        return "; nothing was kept"
    return f"; {staged} of {shards} shards are kept, the same command goes on"


if __name__ == "__main__":
    sys.exit(main())
