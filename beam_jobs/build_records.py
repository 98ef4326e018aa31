"""The command that turns captioned pictures into records: `python -m beam_jobs.build_records`."""

import argparse
import contextlib
import json
import logging
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from beam_jobs.files import delete_directory, read_if_present
from beam_jobs.interrupts import keyboard_interrupts
from beam_jobs.job import BuildJob, read_captions_file, read_splits
from beam_jobs.options import (
    LOCAL_RUNNER,
    PICTURES_PER_SHARD,
    make_pipeline,
    parse_arguments,
    picture_spec,
)
from beam_jobs.output import discard, prepare_output, staging_directory
from beam_jobs.pipeline import build_graph
from beam_jobs.progress import ProgressBar
from records.captions import CaptionSpec
from records.errors import UserError
from records.manifest import DEAD_LETTERS, MANIFEST, VOCABULARY, Manifest
from records.sources import parse_captions


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        arguments, for_beam = parse_arguments(argv)
        # What Beam logs of a failure, its exception says again.
        logging.getLogger().setLevel(logging.CRITICAL)
        with tempfile.TemporaryDirectory(prefix="build_records-") as scratch:
            job, pictures = plan_job(arguments, Path(scratch) / "progress")
            prepare_output(job.output, job.name, arguments.overwrite)
            manifest = run_job(job, pictures, make_pipeline(arguments, for_beam))
    except UserError as error:
        print(f"build_records: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("build_records: interrupted; nothing was kept", file=sys.stderr)
        return 130
    print(summary(manifest, job.output))
    return 0


def plan_job(arguments: argparse.Namespace, progress_file: Path) -> tuple[BuildJob, int]:
    """Look at the input once, so that what is wrong with it is said before anything is written.

    Args:
        arguments: the checked options.
        progress_file: where workers on this machine count the pictures.

    Returns:
        the job, and the number of pictures that it will look at.

    Raises:
        UserError: a directory or file is missing or malformed, or no picture has both a caption
            and a split.
    """
    images, captions, splits, output = map(
        resolve_path, (arguments.images, arguments.captions, arguments.splits, arguments.output)
    )
    for flag, directory in (("--images", images), ("--splits", splits)):
        if _is_local(directory) and not Path(directory).is_dir():
            raise UserError(f"no directory {directory}: check {flag}")
    captioned = {row.key for row in parse_captions(read_captions_file(captions), captions)}
    split_of = read_splits(splits)
    pictures = Counter(split for key, split in split_of.items() if key in captioned)
    if not pictures:
        raise UserError(
            f"no picture left: none that {splits} names has a caption in {captions}; "
            "check --captions and --splits"
        )
    job = BuildJob(
        images=images,
        captions=captions,
        splits=splits,
        output=output,
        staging=staging_directory(output),
        name=arguments.name,
        picture=picture_spec(arguments),
        caption=CaptionSpec(),
        min_count=arguments.min_count,
        shard_counts=shard_counts(pictures, arguments.shards_per_split),
        progress_file=str(progress_file) if arguments.runner == LOCAL_RUNNER else None,
    )
    return job, pictures.total()


def shard_counts(pictures: Mapping[str, int], wanted: int | None) -> dict[str, int]:
    """Return the number of shards of each split.

    Args:
        pictures: of each split.
        wanted: shards of each split; None for one per `PICTURES_PER_SHARD` pictures.

    Raises:
        UserError: a split has fewer pictures than shards are wanted.
    """
    for split, count in pictures.items():
        if wanted is not None and wanted > count:
            raise UserError(
                f"--shards-per-split {wanted}: split {split} has only {count} pictures; ask for "
                "fewer shards"
            )
    return {
        split: wanted or math.ceil(count / PICTURES_PER_SHARD)
        for split, count in sorted(pictures.items())
    }


def resolve_path(path: str) -> str:
    """Return a path that means the same to every worker.

    Raises:
        UserError: a path of a file system whose library is not installed.
    """
    if _is_local(path):
        return str(Path(path).absolute())
    try:
        FileSystems.get_filesystem(path)
    except ValueError:
        raise UserError(
            f"no library for {path} here: install the cloud extra, or use a local path"
        ) from None
    return path.rstrip("/")


def run_job(job: BuildJob, pictures: int, pipeline: beam.Pipeline) -> Manifest:
    """Run the pipeline; whatever stops it, nothing half-written stays.

    Returns:
        the manifest of the new dataset.

    Raises:
        UserError: no picture is left. The dead letters, which say why, are.
    """
    is_watched = job.progress_file is not None
    bar = ProgressBar(Path(job.progress_file), pictures) if is_watched else contextlib.nullcontext()
    beside_shards = [MANIFEST, VOCABULARY, DEAD_LETTERS]
    try:
        with bar, keyboard_interrupts():
            _run_pipeline(job, pipeline)
        manifest = read_if_present(job.output_path(MANIFEST))
    except BaseException:
        discard(job, [*beside_shards, *job.shard_files()])
        raise
    if manifest is None:
        discard(job, job.shard_files())
        raise UserError(_no_picture_left(job))
    delete_directory(job.staging)
    return Manifest.from_json(manifest.decode("utf-8"), job.output_path(MANIFEST))


def summary(manifest: Manifest, output: str) -> str:
    """Return what the command prints at its end."""
    lines = []
    for split in manifest.splits:
        info = manifest.split(split)
        counts = f"{info.records:>8} pictures{info.captions:>8} captions"
        lines.append(f"{split:<6}{counts}{len(info.shards):>4} shards")
    lines.append(f"vocabulary    {manifest.vocabulary_size} words")
    lines.append(f"in no split   {manifest.unassigned} captioned pictures")
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


def _no_picture_left(job: BuildJob) -> str:
    path = job.output_path(DEAD_LETTERS)
    letters = (read_if_present(path) or b"").decode("utf-8").splitlines()
    reasons = Counter(json.loads(letter)["reason"] for letter in letters)
    counts = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    return f"no picture left ({counts}): check --images {job.images} and {path}"


def _is_local(path: str) -> bool:
    return FileSystems.get_scheme(path) is None


if __name__ == "__main__":
    sys.exit(main())
