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
from tfcap.captioner import load_captioner, load_ensemble
from tfcap.litert import write_litert
from tfcap.model_card import describe_export, render_card
from tfcap.search import GREEDY, SearchSpec
from tfcap.signatures import build_signatures
from tfcap.warm_up import BATCH_SIZES, write_warm_up

CARD = "assets.extra/tfcap.json"
CARD_PAGE = "assets.extra/README.md"


def export_run(
    run: Path,
    base: Path,
    portable: bool,
    how: SearchSpec = GREEDY,
    ensemble: Sequence[Path] = (),
    sizes: Sequence[int] = BATCH_SIZES,
) -> Path:
    """Export the best epoch of a run as `base/<version>/`, one version above the highest there.

    Args:
        run: directory of a trained run.
        base: directory of versions, made if needed.
        portable: whether to use core ops only.
        how: captions are searched for.
        ensemble: other runs, as of `load_ensemble`.
        sizes: of the batches that it is warmed up for, see `tfcap.warm_up`.

    Returns:
        The new version's directory. It appears whole, by rename.

    Raises:
        UserError: the run has no trained epoch, or `base` cannot be written.
    """
    captioner = load_ensemble([run, *ensemble]) if ensemble else load_captioner(run)
    module, signatures = build_signatures(captioner, portable, how)
    card = describe_export(run, captioner, portable, how, 1 + len(ensemble))

    def write(directory: Path) -> None:
        # A captioner that is exported is not trained on, so a decoder's gradients stay behind.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(directory), signatures, options)
        _write_card(card, directory)
        write_warm_up(directory, {name: _inputs(each) for name, each in signatures.items()}, sizes)

    return _publish(base, write)


def export_litert(run: Path, base: Path, ensemble: Sequence[Path] = ()) -> Path:
    """Export the best epoch of a run for LiteRT, see `tfcap.litert`; else as `export_run`."""
    captioner = load_ensemble([run, *ensemble]) if ensemble else load_captioner(run)
    card = describe_export(run, captioner, True, GREEDY, 1 + len(ensemble))

    def write(directory: Path) -> None:
        write_litert(captioner, directory)
        _write_card(card, directory)

    return _publish(base, write)


def _publish(base: Path, write: Callable[[Path], None]) -> Path:
    """Make the next version of `base` of what is written into a directory; returns its path."""
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make {base} ({error.strerror}): give --output a directory"
        ) from None
    # TF Serving looks at numbered directories only, so this one is invisible to it.
    partial = base / f"partial-{secrets.token_hex(4)}"
    try:
        partial.mkdir()
        write(partial)
        return partial.rename(base / str(max(versions(base), default=0) + 1))
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_card(card: dict, directory: Path) -> None:
    (directory / CARD).parent.mkdir(exist_ok=True)
    (directory / CARD).write_text(json.dumps(card, indent=1) + "\n", "utf-8")
    (directory / CARD_PAGE).write_text(render_card(card), "utf-8")


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


def _inputs(signature: Callable) -> list[str]:
    return [spec.name for spec in signature.input_signature]
