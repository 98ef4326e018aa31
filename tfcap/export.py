"""Exports: a captioner as a SavedModel in a versioned directory, published by rename."""

import dataclasses
import json
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf

from records.captions import CaptionSpec
from records.errors import UserError
from records.pictures import PictureSpec
from tfcap import runs
from tfcap.captioner import load_captioner, load_ensemble
from tfcap.config import RunConfig
from tfcap.search import GREEDY, SearchSpec
from tfcap.signatures import build_signatures

CARD = "assets.extra/tfcap.json"


def export_run(
    run: Path,
    base: Path,
    portable: bool,
    how: SearchSpec = GREEDY,
    ensemble: Sequence[Path] = (),
) -> Path:
    """Export the best epoch of a run as `base/<version>/`, one version above the highest there.

    Args:
        run: directory of a trained run.
        base: directory of versions, made if needed.
        portable: whether to use core ops only.
        how: captions are searched for.
        ensemble: other runs, as of `load_ensemble`.

    Returns:
        The new version's directory. It appears whole, by rename.

    Raises:
        UserError: the run has no trained epoch, or `base` cannot be written.
    """
    captioner = load_ensemble([run, *ensemble]) if ensemble else load_captioner(run)
    module, signatures = build_signatures(captioner, portable, how)
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make {base} ({error.strerror}): give --output a directory"
        ) from None
    # TF Serving looks at numbered directories only, so this one is invisible to it.
    partial = base / f"partial-{secrets.token_hex(4)}"
    try:
        # A captioner that is exported is not trained on, so a decoder's gradients stay behind.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(partial), signatures, options)
        card = partial / CARD
        card.parent.mkdir()
        card.write_text(
            json.dumps(_card(run, portable, how, 1 + len(ensemble)), indent=1) + "\n", "utf-8"
        )
        version = base / str(max(versions(base), default=0) + 1)
        return partial.rename(version)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def versions(base: Path) -> list[int]:
    """Return the numbers of the versions in an export's base directory, in order."""
    return sorted(int(path.name) for path in base.iterdir() if path.name.isdecimal())


def find_export(path: Path) -> Path:
    """Return the SavedModel's directory: `path` itself, or the highest version below it.

    Raises:
        UserError: there is none.
    """
    if (path / "saved_model.pb").is_file():
        return path
    found = versions(path) if path.is_dir() else []
    if not found or not (path / str(found[-1]) / "saved_model.pb").is_file():
        raise UserError(f"{path} holds no export: make one with `tfcap export --output {path}`")
    return path / str(found[-1])


@dataclasses.dataclass(frozen=True)
class Export:
    """A loaded export.

    Attributes:
        path: its directory.
        signatures: functions of keyword tensors, by name.
        picture: how its encoder wants pictures to be made.
        caption: how its captions were cleaned.
        search: how its captions are searched for.
        card: all that it says of where it comes from.
    """

    path: Path
    signatures: dict[str, Callable]
    picture: PictureSpec
    caption: CaptionSpec
    search: SearchSpec
    card: dict


def load_export(path: Path) -> Export:
    """Load an export of `tfcap export`.

    Args:
        path: a version's directory, or a base directory, of which the highest version counts.

    Raises:
        UserError: there is no export, or it was not made by `tfcap export`.
    """
    path = find_export(path)
    try:
        card = json.loads((path / CARD).read_text("utf-8"))
        picture = PictureSpec.from_dict(card["picture"])
        caption = CaptionSpec.from_dict(card["caption"])
        search = SearchSpec.from_dict(card["search"])
        if not card["portable"]:
            import tensorflow_text  # noqa: F401  (registers the ops that the graph uses)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} was not made by `tfcap export` ({error}): export the run again"
        ) from None
    try:
        loaded = tf.saved_model.load(str(path))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"{path} cannot be loaded ({error}): export the run again") from None
    return Export(path, dict(loaded.signatures), picture, caption, search, card)


def _card(run: Path, portable: bool, how: SearchSpec, members: int) -> dict:
    """Return what a user of the export may want to know about where it comes from."""
    config = RunConfig.load(run / runs.CONFIG)
    history = runs.read_history(run)
    return {
        "portable": portable,
        "dataset_fingerprint": config.fingerprint,
        "picture": config.picture.to_dict(),
        "picture_digest": config.picture.digest(),
        "caption": config.caption.to_dict(),
        "caption_digest": config.caption.digest(),
        "model": config.model.to_dict(),
        "members": members,
        "search": how.to_dict(),
        "best_epoch": max(history, key=lambda figures: figures["val_CIDEr"], default=None),
    }
