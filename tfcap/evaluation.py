"""Evaluation: caption whole splits, and hold the captions against their references."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import keras
import tensorflow as tf
from tqdm import tqdm

from records.example import PictureRecord, decode_example
from records.tfrecord import read_records
from tfcap.captioner import Captioner, caption_loss


class Decoded(NamedTuple):
    """Captions of a split.

    Attributes:
        captions: greedy caption of each key.
        loss: mean cross-entropy of the references in nats per word, without label smoothing.
    """

    captions: dict[str, str]
    loss: float


class Captioned(NamedTuple):
    """What an export's signature said of one picture; `error` is empty where it is good."""

    key: str
    caption: str
    error: str


def decode_batches(captioner: Captioner, batches: tf.data.Dataset, total: int) -> Decoded:
    """Decode encoded batches greedily, and force their references on the decoder too.

    Args:
        captioner: what is evaluated.
        batches: of `tfcap.data.encoded`.
        total: pictures in them, for the progress bar.
    """

    @tf.function(reduce_retracing=True)
    def decode(features, inputs, targets):
        loss, words = caption_loss(captioner.decoder, features, inputs, targets)
        return captioner.greedy(features), loss / words, words

    captions, losses = {}, keras.metrics.Mean()
    with tqdm(desc="validation", total=total, unit=" pictures", leave=False) as bar:
        for batch in batches:
            texts, loss, words = decode(batch["features"], batch["inputs"], batch["targets"])
            losses.update_state(loss, words)
            for key, text in zip(batch["key"].numpy(), texts.numpy(), strict=True):
                captions[key.decode()] = text.decode()
            bar.update(len(texts))
    return Decoded(captions, float(losses.result()))


def caption_bytes(
    signature: Callable, pictures: Iterable[tuple[str, bytes]], batch_size: int
) -> Iterator[Captioned]:
    """Caption encoded pictures with a `serving_default` signature.

    Args:
        signature: of `tfcap.signatures` or of a loaded export.
        pictures: (key, bytes of a picture file), consumed a batch at a time.
        batch_size: pictures in a call.
    """
    pictures = iter(pictures)
    while batch := list(islice(pictures, batch_size)):
        found = signature(image_bytes=tf.constant([encoded for _, encoded in batch]))
        rows = zip(batch, found["caption"].numpy(), found["error"].numpy(), strict=True)
        for (key, _), caption, error in rows:
            yield Captioned(key, caption.decode(), error.decode())


def read_pictures(shards: Sequence[Path]) -> Iterator[PictureRecord]:
    """Read the records of shards in stored order."""
    for shard in shards:
        yield from map(decode_example, read_records(shard))


def read_references(shards: Sequence[Path]) -> dict[str, tuple[str, ...]]:
    """Return the raw captions of each picture in the shards, by key."""
    return {record.filename: record.raw_captions for record in read_pictures(shards)}
