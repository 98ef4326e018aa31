"""The output directory: what an earlier run left there, and whether this one may go on with it."""

from apache_beam.io.filesystems import FileSystems

from beam_jobs.files import delete_directory, list_files, read_if_present
from beam_jobs.job import BuildJob, plan_of
from beam_jobs.staging import STAGING, begin, goes_on, plan_difference, relative
from records.errors import UserError
from records.manifest import DEAD_LETTERS, MANIFEST, VOCABULARY, Manifest
from records.shards import ShardName
from records.tfds import TFDS_FILES

# In the staging directory: the manifest of the dataset that is being replaced.
REPLACED = "replaced-manifest.json"
_BESIDE_SHARDS = (MANIFEST, VOCABULARY, DEAD_LETTERS, *TFDS_FILES)


def find_dataset(output: str, name: str) -> list[str]:
    """Return the files of a published dataset, or of remains of one, the manifest first.

    These are the manifest and what stands beside it, and shards and indexes of the dataset of that
    name or of the one that the manifest names, or named before it was put aside to be replaced;
    other files in the directory are none of ours.
    """
    files = {relative(path, output): path for path in list_files(output)}
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
    unfinished, published = goes_on(job, overwrite), read_manifest(job.output)
    if job.retry_failed:
        _check_retry(job, unfinished, published)
    elif published is not None and not overwrite:
        if difference := plan_difference(plan_of(published), job.plan()):
            raise UserError(
                f"{job.output} already holds a dataset with other options ({difference}): choose "
                "another --output or add --overwrite"
            )
        delete_directory(job.staging)
        return False
    elif not (unfinished or overwrite) and (found := find_dataset(job.output, job.name)):
        raise UserError(
            f"{job.output} already holds a part of a dataset "
            f"({relative(found[0], job.output)}): choose another --output or add --overwrite"
        )
    begin(job, anew=not unfinished)
    return True


def _check_retry(job: BuildJob, unfinished: bool, published: Manifest | None) -> None:
    if published is None and not unfinished:
        raise UserError(
            f"nothing to retry: {job.output} holds no dataset: leave out --retry-failed"
        )
    if published is not None and (difference := plan_difference(plan_of(published), job.plan())):
        raise UserError(
            f"{job.output} was built with other options ({difference}): --retry-failed tries "
            "rejected pictures again, all else must be as it was; or build anew with --overwrite"
        )


def _dataset_of(file: str) -> str | None:
    try:
        return ShardName.of_file(file).dataset
    except ValueError:
        return None
