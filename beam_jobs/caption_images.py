"""The command that captions pictures with an export: `python -m beam_jobs.caption_images`."""

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from apache_beam.io.filesystems import FileSystems

from beam_jobs.captioning.exports import find_export, require_runtime
from beam_jobs.captioning.job import CaptionJob, find_pictures
from beam_jobs.captioning.options import PICTURES_PER_SHARD, parse_arguments
from beam_jobs.captioning.output import prepare_output, read_manifest
from beam_jobs.captioning.pipeline import build_graph
from beam_jobs.dry_run import check_submission, dry_run
from beam_jobs.files import is_local
from beam_jobs.paths import resolve_path
from beam_jobs.rejects import in_words
from beam_jobs.runners import LOCAL_RUNNER
from beam_jobs.running import run_command, run_job
from beam_jobs.staging import only_build
from records.caption_manifest import CaptionManifest
from records.errors import UserError
from records.manifest import DEAD_LETTERS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command("caption_images", lambda: caption(argv))


def caption(argv: Sequence[str] | None) -> str:
    """Caption the pictures that the options name; returns what is to be said at the end.

    Raises:
        UserError: something that was given is wrong.
    """
    arguments, for_beam = parse_arguments(argv)
    read_first = {"--model": arguments.model, "--images": arguments.images}
    paths = [*read_first.values(), arguments.output]
    check_submission(arguments, for_beam, read_first, paths)
    with tempfile.TemporaryDirectory(prefix="caption_images-") as scratch:
        job = plan_job(arguments, Path(scratch) / "progress")
        if arguments.dry_run:
            return dry_run(
                lambda pipeline: build_graph(pipeline, job), _facts(job), paths, arguments, for_beam
            )
        with only_build(job):
            if not prepare_output(job, arguments.overwrite):
                print("already captioned (--overwrite captions anew)")
            elif said := run_job(job, build_graph, job.found.pictures, arguments, for_beam):
                return said
    return summary(read_manifest(job.output), job.output)


def plan_job(arguments: argparse.Namespace, progress_file: Path) -> CaptionJob:
    """Look at the input once, so that what is wrong with it is said before anything is written.

    Args:
        arguments: the checked options.
        progress_file: where workers on this machine count the pictures.

    Raises:
        UserError: there is no export, no library for it, or no picture.
    """
    is_here = arguments.runner == LOCAL_RUNNER
    images, output = resolve_path(arguments.images), resolve_path(arguments.output)
    if is_local(images) and Path(images).is_dir():
        raise UserError(
            f"--images {arguments.images} is a directory: give a quoted pattern such as "
            f"'{arguments.images.rstrip('/')}/**'"
        )
    export = find_export(resolve_path(arguments.model))
    if is_here:
        require_runtime(export)
    found = find_pictures(images, output)
    return CaptionJob(
        images=images,
        found=found,
        export=export,
        output=output,
        format=arguments.format,
        embeddings=arguments.embeddings,
        batch_size=arguments.batch_size,
        shards=arguments.shards or math.ceil(found.pictures / PICTURES_PER_SHARD),
        max_bad=arguments.max_bad,
        progress_file=str(progress_file) if is_here else None,
    )


def summary(manifest: CaptionManifest, output: str) -> str:
    """Return what the command prints at its end."""
    letters = in_words(manifest.dead_letters)
    where = f" in {FileSystems.join(output, DEAD_LETTERS)}" if letters else ""
    return "\n".join(
        [
            f"pictures      {manifest.rows} captioned, {len(manifest.shards)} shards",
            f"embeddings    {manifest.embedding_size or 'none'}",
            f"dead letters  {letters or 'none'}{where}",
            f"fingerprint   {manifest.fingerprint}",
            f"captions      {output}",
        ]
    )


def _facts(job: CaptionJob) -> dict[str, object]:
    return {
        "model": job.export.path,
        "pictures": job.found.pictures,
        "shards": job.shards,
        "captions": job.output,
    }


if __name__ == "__main__":
    sys.exit(main())
