"""What `tfcap evaluate` and `tfcap compare` have in common: a split, and its captions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path


def load_runs(run: Path, ensemble: Sequence[Path], epoch: int | None = None):
    """Return the `Captioner` of a run, or of several together.

    Args:
        run: the run directory.
        ensemble: those of others.
        epoch: of a lone run, as of `load_captioner`.

    Raises:
        UserError: the runs do not go together.
    """
    from records.errors import UserError
    from tfcap.captioner import load_captioner, load_ensemble

    if not ensemble:
        return load_captioner(run, epoch)
    if epoch is not None:
        raise UserError("--epoch is of one run, and --ensemble of several: leave one out")
    return load_ensemble([run, *ensemble])


def read_split(
    dataset: Path, split: str, picture, caption
) -> tuple[dict, Iterator[tuple[str, bytes]], str]:
    """Return (raw captions by key, the stored pictures, the name) of a split.

    Args:
        dataset: directory of records.
        split: of it.
        picture: the PictureSpec of a model.
        caption: its CaptionSpec.

    Raises:
        UserError: the dataset was made with others.
    """
    from records.errors import UserError
    from records.manifest import load_manifest
    from records.reading import read_pictures, read_references
    from tfcap.metrics.signature import name_split

    manifest = load_manifest(dataset)
    for name, theirs, ours in (
        ("picture", manifest.picture, picture),
        ("caption", manifest.caption, caption),
    ):
        if theirs != ours:
            raise UserError(
                f"{dataset} was made with {name} spec {theirs.digest()}, the model wants "
                f"{ours.digest()}: build the dataset with the settings of the model's own"
            )
    shards = manifest.shard_paths(dataset, split)
    pictures = ((record.filename, record.encoded) for record in read_pictures(shards))
    name = name_split(manifest.name, split, manifest.fingerprint)
    return read_references(shards), pictures, name


def caption_pictures(
    signature: Callable, pictures: Iterable[tuple[str, bytes]], total: int, batch_size: int
) -> dict[str, str]:
    """Return the captions of the pictures that could be captioned; names the others.

    Args:
        signature: of `load_run` or of an export.
        pictures: (key, bytes of a picture file).
        total: how many, for the progress bar.
        batch_size: pictures at once.

    Raises:
        UserError: there is none.
    """
    from tqdm import tqdm

    from records.errors import UserError
    from tfcap.evaluation import caption_bytes

    bar = tqdm(pictures, "caption", total, unit=" pictures", leave=False)
    predictions = {}
    for found in caption_bytes(signature, bar, batch_size):
        if found.error:
            tqdm.write(f"{found.key}: left out: {found.error}")
        else:
            predictions[found.key] = found.caption
    if not predictions:
        raise UserError("no picture could be captioned: check the paths and the pictures")
    return predictions
