"""Evaluation: caption whole splits, and hold the captions against their references."""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import tensorflow as tf
from tqdm import tqdm

from tfcap.captioner import Captioner, force_captions


class Decoded(NamedTuple):
    """Captions of a split.

    Attributes:
        captions: greedy caption of each key.
        loss: mean cross-entropy of the references in nats per word, without label smoothing.
        accuracy: share of their words that were the likeliest, by teacher forcing.
    """

    captions: dict[str, str]
    loss: float
    accuracy: float


class Captioned(NamedTuple):
    """What an export's signature said of one picture; `error` is empty where it is good."""

    key: str
    caption: str
    error: str


class SplitDecoder:
    """Decodes batches greedily, and forces their references on the decoder too.

    It has one trace for all shapes, made once: another might round differently.
    """

    def __init__(self, captioner: Captioner, encode: Callable[[tf.Tensor], tf.Tensor]):
        """Prepare.

        Args:
            captioner: what is evaluated, with the weights that it will have then.
            encode: uint8 [B, S, S, 3] to features, for batches that hold pixels.
        """
        self._captioner, self._encode = captioner, encode
        captions = tf.TensorSpec([None, None, None], tf.int32)
        features = tf.TensorSpec(captioner.encoder.output_shape, tf.float32)
        self._decode = tf.function(self._caption, [features, captions, captions], autograph=False)
        pixels = tf.TensorSpec([None, *captioner.encoder.input_shape[1:]], tf.uint8)
        self._decode_pixels = tf.function(
            self._caption_pixels, [pixels, captions, captions], autograph=False
        )

    def decode(self, batches: tf.data.Dataset, total: int) -> Decoded:
        """Decode a split.

        Args:
            batches: of `tfcap.data`, with `image` or `features`.
            total: pictures in them, for the progress bar.
        """
        captions, sums = {}, []
        with tqdm(desc="validation", total=total, unit=" pictures", leave=False) as bar:
            for batch in batches:
                texts, *forced = self._of(batch)
                sums.append([float(each) for each in forced])
                for key, text in zip(batch["key"].numpy(), texts.numpy(), strict=True):
                    captions[key.decode()] = text.decode()
                bar.update(len(texts))
        loss, right, words = map(math.fsum, zip(*sums, strict=True))
        return Decoded(captions, loss / max(1, words), right / max(1, words))

    def _of(self, batch: dict):
        rest = batch["inputs"], batch["targets"]
        if "image" in batch:
            return self._decode_pixels(batch["image"], *rest)
        return self._decode(batch["features"], *rest)

    def _caption(self, features, inputs, targets):
        forced = force_captions(self._captioner.decoder, features, inputs, targets)
        return self._captioner.greedy(features), *forced.sums()

    def _caption_pixels(self, pixels, inputs, targets):
        return self._caption(self._encode(pixels), inputs, targets)


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
