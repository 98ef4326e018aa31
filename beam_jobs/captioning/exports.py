"""Exports of `tfcap export`, found and loaded from wherever Beam can read, without tfcap."""

import contextlib
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from apache_beam.io.filesystems import FileSystems

from beam_jobs.files import is_local, list_files, open_file, read_if_present
from beam_jobs.staging import file_sha256, relative
from records.captions import CaptionSpec
from records.errors import UserError
from records.pictures import PictureSpec
from records.specs import canonical_hash

_GRAPH = "saved_model.pb"
_CARD = "assets.extra/tfcap.json"


class Export(NamedTuple):
    """An export that was found.

    Attributes:
        path: its directory, that of a version.
        card: what it says of itself.
        fingerprint: 64 hex digits that change with any of its files.
    """

    path: str
    card: dict
    fingerprint: str

    @property
    def picture(self) -> PictureSpec:
        """How its encoder wants pictures to be made."""
        return PictureSpec.from_dict(self.card["picture"])


class Described(NamedTuple):
    """What an export says of a picture; `error` is empty where it took it."""

    caption: str
    log_prob: float
    embedding: tuple[float, ...] | None
    error: str


def find_export(path: str) -> Export:
    """Find an export: `path` itself, or the highest version below it.

    Raises:
        UserError: there is none, or it was not made by `tfcap export`.
    """
    path = _version(path)
    content = read_if_present(FileSystems.join(path, _CARD))
    try:
        card = json.loads(content or "null")
        PictureSpec.from_dict(card["picture"])
        CaptionSpec.from_dict(card["caption"])
        card["portable"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} was not made by `tfcap export` ({error!r}): export the run again"
        ) from None
    files = {relative(file, path): file_sha256(file) for file in list_files(path)}
    return Export(path, card, canonical_hash(files))


def require_runtime(export: Export) -> None:
    """Raise UserError where this machine has not got the libraries that an export needs."""
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError(
            "no TensorFlow here: captioning takes it on every worker, pip install 'tfcap[tf]'"
        )
    if not export.card["portable"] and importlib.util.find_spec("tensorflow_text") is None:
        raise UserError(
            f"{export.path} needs tensorflow-text, which is not installed here: pip install "
            "'tfcap[tf]', or make an export with `tfcap export --portable`"
        )


class CaptionModel:
    """An export in memory. Several threads may call it at once."""

    def __init__(self, export: Export, embeddings: bool):
        """Load it.

        Args:
            export: what to load.
            embeddings: whether pictures are embedded too.

        Raises:
            UserError: it cannot be loaded here, or cannot embed.
        """
        require_runtime(export)
        # Its C++ log would cross the progress bar; a user's own setting wins.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow as tf

        if not export.card["portable"]:
            import tensorflow_text  # noqa: F401  (registers the ops that the graph uses)
        try:
            with _local_copy(export.path) as directory:
                self._loaded = tf.saved_model.load(directory)
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{export.path} cannot be loaded ({reason}): export again") from None
        self._constant = tf.constant
        signatures = self._loaded.signatures
        wanted = ["serving_default", "embed"] if embeddings else ["serving_default"]
        if missing := [name for name in wanted if name not in signatures]:
            raise UserError(
                f"{export.path} has no signature {missing[0]!r}: export the run again"
                + (", or leave out --embeddings" if embeddings else "")
            )
        self._caption = signatures["serving_default"]
        self._embed = signatures["embed"] if embeddings else None

    def describe(self, pictures: Sequence[bytes]) -> list[Described]:
        """Caption picture files, and embed them if that was wanted, in their order."""
        image_bytes = self._constant(list(pictures))
        said = self._caption(image_bytes=image_bytes)
        vectors = [None] * len(pictures)
        if self._embed is not None:
            embedded = self._embed(image_bytes=image_bytes)["embedding"].numpy().tolist()
            vectors = map(tuple, embedded)
        columns = (said[name].numpy().tolist() for name in ("caption", "log_prob", "error"))
        return [
            Described(caption.decode(), log_prob, vector, error.decode())
            for caption, log_prob, error, vector in zip(*columns, vectors, strict=True)
        ]


def _version(path: str) -> str:
    if FileSystems.exists(FileSystems.join(path, _GRAPH)):
        return path
    found = FileSystems.match([FileSystems.join(path, "*", _GRAPH)])[0].metadata_list
    directories = [FileSystems.split(metadata.path)[0] for metadata in found]
    versions = {FileSystems.split(each)[1]: each for each in directories}
    numbers = [int(version) for version in versions if version.isdecimal()]
    if not numbers:
        raise UserError(f"{path} holds no export: make one with `tfcap export --output {path}`")
    return FileSystems.join(path, str(max(numbers)))


@contextlib.contextmanager
def _local_copy(path: str) -> Iterator[str]:
    """Give an export's directory on this machine: its own, or a copy of a remote one."""
    if is_local(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="tfcap-export-") as directory:
        for file in list_files(path):
            target = Path(directory) / relative(file, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with open_file(file) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
        yield directory
