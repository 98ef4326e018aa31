"""The output directory: empty before the job, whole after it, and nothing in between left over."""

import uuid
from collections.abc import Iterable

from apache_beam.io.filesystems import FileSystems

from beam_jobs.files import delete_directory, delete_files, list_files, read_if_present
from beam_jobs.job import BuildJob
from records.errors import UserError
from records.manifest import DEAD_LETTERS, MANIFEST, VOCABULARY, Manifest
from records.shards import ShardName

_STAGING = ".incomplete-"


def staging_directory(output: str) -> str:
    """Return a new name, inside the output directory, for files that are not whole yet."""
    return FileSystems.join(output, f"{_STAGING}{uuid.uuid4().hex}")


def find_dataset(output: str, name: str) -> list[str]:
    """Return the files of a dataset, or of an unfinished build, the manifest first.

    These are the manifest and what it names, shards of the given name, and staging directories;
    other files in the directory are none of ours.
    """
    files = {_relative(path, output): path for path in list_files(output)}
    known = {MANIFEST, VOCABULARY, DEAD_LETTERS} if MANIFEST in files else set()
    names = {name, *_dataset_names(files.get(MANIFEST))}
    found = [
        file
        for file in files
        if file in known or file.startswith(_STAGING) or _dataset_of(file) in names
    ]
    found.sort(key=lambda file: (file != MANIFEST, file))
    return [files[file] for file in found]


def prepare_output(output: str, name: str, overwrite: bool) -> None:
    """Make sure that no dataset is in the directory.

    Raises:
        UserError: there is one and `overwrite` is not set, or the directory cannot be made.
    """
    if found := find_dataset(output, name):
        if not overwrite:
            raise UserError(
                f"{output} already holds a dataset or a part of one "
                f"({_relative(found[0], output)}): choose another --output or add --overwrite"
            )
        # The manifest goes first: from then on no reader takes the rest for a dataset.
        delete_files(found[:1])
        delete_files(found[1:])
        for staging in {FileSystems.split(path)[0] for path in found} - {output}:
            delete_directory(staging)


def discard(job: BuildJob, files: Iterable[str]) -> None:
    """Delete what a failed job wrote: its staging directory and the named files of the dataset.

    The directory itself goes too, unless something else is in it.
    """
    delete_directory(job.staging)
    delete_files([job.output_path(file) for file in files])
    if not list_files(job.output):
        delete_directory(job.output)


def _relative(path: str, directory: str) -> str:
    return path[len(FileSystems.join(directory, "")) :]


def _dataset_names(manifest: str | None) -> list[str]:
    content = manifest and read_if_present(manifest)
    if not content:
        return []
    try:
        return [Manifest.from_json(content.decode("utf-8", "replace"), manifest).name]
    except UserError:
        return []


def _dataset_of(file: str) -> str | None:
    try:
        return ShardName.parse(file).dataset
    except ValueError:
        return None
