"""Writing a feature cache: shard by shard, so that a run that was stopped goes on.

A shard is written under a temporary name, its index is published, then the shard itself; the
manifest comes last. One process at a time writes; others wait for it.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import itertools
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from records.errors import UserError
from records.files import write_whole
from records.index import encode_index
from records.manifest import MANIFEST, Manifest, ShardInfo
from records.shards import ShardName
from records.tfrecord import CorruptRecord, Written, scan_frames, write_records
from tfcap.data import damage_named, read_records
from tfcap.data.batches import FEATURES
from tfcap.data.options import pipeline_options
from tfcap.features.manifest import FeatureManifest, load_features
from tfcap.features.spec import FeatureSpec, bytes_needed
from tfcap.features.views import make_view
from tfcap.pictures import decode_picture

Encode = Callable[[tf.Tensor], tf.Tensor]

BATCH = 32  # pictures that the encoder gets at once
LOCK = ".lock"
_KEY = re.compile(r"[0-9a-f]{16}")


def write_features(
    directory: Path, dataset: Path, manifest: Manifest, spec: FeatureSpec, encode: Encode
) -> FeatureManifest:
    """Write the features of a split, or what is missing of them.

    Args:
        directory: of these features alone, `spec.digest()` by name; made if needed.
        dataset: directory of the records.
        manifest: of the dataset.
        spec: what to write.
        encode: uint8 [B, S, S, 3] to float32 [B, h, w, C].

    Raises:
        UserError: too little room on the disk, a directory that holds other things, a damaged
            record of the dataset, a disk that fails.
    """
    _refuse_strangers(directory.parent, _KEY.fullmatch)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _alone(directory):
            return (
                load_features(directory, spec)
                or _Build(directory, dataset, manifest, spec, encode).run()
            )
    except OSError as error:
        raise UserError(
            f"cannot write features into {directory} ({error.strerror or error}): what is finished "
            "is kept, and the same command goes on; or encode with --encoder-on pipeline"
        ) from None


def free_bytes(directory: Path) -> int:
    """Return the bytes free on the disk where a directory is, or would be made."""
    existing = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


class _Build:
    """One run of the writer."""

    def __init__(
        self, directory: Path, dataset: Path, manifest: Manifest, spec: FeatureSpec, encode: Encode
    ):
        self.directory, self.dataset, self.spec = directory, dataset, spec
        self.parts = _parts(manifest, spec)
        size = spec.picture.size
        images = tf.TensorSpec([None, size, size, 3], tf.uint8)
        # One graph for batches of all sizes: the last of a shard has any.
        self.encode = tf.function(encode, input_signature=[images]).get_concrete_function()
        self.shape = tuple(self.encode.output_shapes[1:])

    def run(self) -> FeatureManifest:
        """Write what is missing, the manifest last."""
        for leftover in self.directory.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        files = {name for part in self.parts for name in (part.file, part.index_file)}
        _refuse_strangers(self.directory, files.__contains__)
        shards = [self._finished(part) for part in self.parts]
        missing = [part for part, shard in zip(self.parts, shards, strict=True) if not shard]
        total = sum(part.source.records for part in self.parts)
        left = sum(part.source.records for part in missing)
        self._check_room(left)
        bar = tqdm(
            desc=f"features of {self.spec.split}", total=total, initial=total - left, unit=" views"
        )
        with bar, damage_named(self.dataset):
            written = iter([self._write(part, bar) for part in missing])
        shards = tuple(shard or next(written) for shard in shards)
        manifest = FeatureManifest(self.spec, self.shape, shards)
        write_whole(self.directory / MANIFEST, manifest.to_json())
        return manifest

    def _finished(self, part: "_Part") -> ShardInfo | None:
        """Return what an earlier run wrote of a part; None where it is not whole."""
        path = self.directory / part.file
        try:
            payloads = (frame.payload for frame in scan_frames(path))
            with Path(os.devnull).open("wb") as nowhere:
                written = write_records(nowhere, payloads)
            index = path.with_name(part.index_file).read_bytes()
        except (FileNotFoundError, CorruptRecord):
            return None
        if written.records != part.source.records or index != encode_index(written.offsets):
            return None
        return part.info(written)

    def _check_room(self, records: int) -> None:
        needed, free = bytes_needed(records, self.shape), free_bytes(self.directory)
        if needed > free:
            raise UserError(
                f"the features take {needed:,} more bytes, {free:,} are free at "
                f"{self.directory.parent}: give --feature-cache on another disk, or encode with "
                "--encoder-on pipeline"
            )

    def _write(self, part: "_Part", bar: tqdm) -> ShardInfo:
        path = self.directory / part.file
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            with temporary.open("wb") as file:
                written = write_records(file, self._payloads(part, bar))
            write_whole(path.with_name(part.index_file), encode_index(written.offsets))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return part.info(written)

    def _payloads(self, part: "_Part", bar: tqdm) -> Iterator[bytes]:
        for images, keys, texts in self._pictures(part):
            features = self.encode(images).numpy().astype("<f4", copy=False)
            for row, key, captions in zip(features, keys.numpy(), texts.to_list(), strict=True):
                yield encode_features(key, captions, row)
            bar.update(len(features))

    def _pictures(self, part: "_Part") -> tf.data.Dataset:
        """Return batches of (images uint8 [B, S, S, 3], keys string [B], captions [B, (n)])."""

        def parse(position, serialized):
            record = tf.io.parse_single_example(serialized, FEATURES)
            image = decode_picture(record["image/encoded"], self.spec.picture)
            texts = record["caption/text"]
            view = make_view(image, texts, part.first + position, part.view, self.spec)
            return view, record["image/filename"], texts

        records = read_records([self.dataset / part.source.file])
        pictures = records.map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        return pictures.ragged_batch(BATCH).prefetch(1).with_options(pipeline_options())


@dataclasses.dataclass(frozen=True)
class _Part:
    """What is written at once: one view of the pictures of one shard.

    Attributes:
        source: the shard of the dataset.
        first: number of its first record in its split.
        view: from 0.
    """

    source: ShardInfo
    first: int
    view: int

    @property
    def file(self) -> str:
        """The name of the shard of features, as flickr8k-train_view0.tfrecord-00000-of-00012."""
        return str(self._name)

    @property
    def index_file(self) -> str:
        """The name of its offset index."""
        return self._name.index_file

    @property
    def _name(self) -> ShardName:
        name = ShardName.parse(self.source.file)
        return dataclasses.replace(name, split=f"{name.split}_view{self.view}")

    def info(self, written: Written) -> ShardInfo:
        """Return what the manifest says of it, once it is written."""
        index = hashlib.sha256(encode_index(written.offsets)).hexdigest()
        captions = self.source.captions
        return ShardInfo(self.file, written.records, captions, written.bytes, written.sha256, index)


def _parts(manifest: Manifest, spec: FeatureSpec) -> list[_Part]:
    """Return all parts: those of the first view, then those of the second, and so on."""
    shards = manifest.split(spec.split).shards
    firsts = itertools.accumulate((shard.records for shard in shards), initial=0)
    sources = list(zip(shards, firsts, strict=False))
    return [_Part(*source, view) for view in range(spec.views) for source in sources]


def encode_features(key: bytes, captions: list[bytes], features: np.ndarray) -> bytes:
    """Return a record of features as a serialized `tf.train.Example`.

    Args:
        key: of the picture, its file name.
        captions: cleaned.
        features: little-endian float32 [h, w, C].
    """

    def strings(values) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    shape = tf.train.Feature(int64_list=tf.train.Int64List(value=features.shape))
    content = {
        "image/filename": strings([key]),
        "caption/text": strings(captions),
        "features/shape": shape,
        "features/float32": strings([features.tobytes()]),
    }
    example = tf.train.Example(features=tf.train.Features(feature=content))
    return example.SerializeToString(deterministic=True)


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Wait until no other process writes into a directory; a killed one does not count."""
    with (directory / LOCK).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tqdm.write(f"waiting for another process that writes {directory}", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refuse_strangers(directory: Path, is_known: Callable[[str], object]) -> None:
    """Refuse a directory that holds what no feature cache does; hidden files do not count.

    Raises:
        UserError: naming one of them.
    """
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory} is a file: give --feature-cache a directory of its own")
    names = sorted(path.name for path in directory.iterdir()) if directory.exists() else []
    strangers = [name for name in names if not (is_known(name) or name.startswith("."))]
    if strangers:
        raise UserError(
            f"{directory} holds {strangers[0]}, which is no part of a feature cache: "
            "give --feature-cache a directory of its own"
        )
