"""The command that turns captioned pictures into records: `python -m beam_jobs.build_records`."""

import argparse
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from apache_beam.io.filesystems import FileSystems

from beam_jobs.dry_run import check_submission, dry_run
from beam_jobs.files import is_local
from beam_jobs.job import BuildJob
from beam_jobs.options import PICTURES_PER_SHARD, caption_spec, parse_arguments, picture_spec
from beam_jobs.output import prepare_output, read_manifest
from beam_jobs.paths import make_source, resolve_path
from beam_jobs.pipeline import build_graph
from beam_jobs.rejects import in_words
from beam_jobs.runners import LOCAL_RUNNER
from beam_jobs.running import run_command, run_job
from beam_jobs.source import FROM_SOURCE, has_ratios, survey
from beam_jobs.staging import only_build
from beam_jobs.stores import open_store
from records.errors import UserError
from records.manifest import DEAD_LETTERS, Manifest


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command("build_records", lambda: build(argv))


def build(argv: Sequence[str] | None) -> str:
    """Build the dataset that the options ask for; returns what is to be said at the end.

    Raises:
        UserError: something that was given is wrong.
    """
    arguments, for_beam = parse_arguments(argv)
    read_first = {"--captions": arguments.captions, "--splits": arguments.splits}
    paths = _paths(arguments)
    check_submission(arguments, for_beam, read_first, paths)
    with tempfile.TemporaryDirectory(prefix="build_records-") as scratch:
        job = plan_job(arguments, Path(scratch) / "progress")
        if arguments.dry_run:
            return dry_run(
                lambda pipeline: build_graph(pipeline, job), _facts(job), paths, arguments, for_beam
            )
        with only_build(job):
            if not prepare_output(job, arguments.overwrite):
                print("already built; pictures were not compared (--overwrite builds anew)")
            elif said := run_job(job, build_graph, job.info.pictures, arguments, for_beam):
                return said
    return summary(read_manifest(job.output), job.output)


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


def summary(manifest: Manifest, output: str) -> str:
    """Return what the command prints at its end."""
    lines = []
    for split in manifest.splits:
        info = manifest.split(split)
        counts = f"{info.records:>8} pictures{info.captions:>8} captions"
        lines.append(f"{split:<6}{counts}{len(info.shards):>4} shards")
    lines.append(f"vocabulary    {manifest.vocabulary_size} words")
    lines.append(f"in no split   {manifest.source.unassigned} captioned pictures")
    letters = in_words(manifest.dead_letters)
    where = f" in {FileSystems.join(output, DEAD_LETTERS)}" if letters else ""
    lines.append(f"dead letters  {letters or 'none'}{where}")
    lines.append(f"fingerprint   {manifest.fingerprint}")
    lines.append(f"dataset       {output}")
    return "\n".join(lines)


def _facts(job: BuildJob) -> dict[str, object]:
    shards = ", ".join(f"{split} {count}" for split, count in job.shard_counts.items())
    return {"pictures": job.info.pictures, "shards": shards, "dataset": job.output}


def _paths(arguments: argparse.Namespace) -> list[str]:
    paths = [arguments.images, arguments.captions, arguments.output]
    if arguments.splits != FROM_SOURCE and not has_ratios(arguments.splits):
        paths.append(arguments.splits)
    return paths


if __name__ == "__main__":
    sys.exit(main())
