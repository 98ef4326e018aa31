"""Pictures by how likely a captioner finds it to say a sentence of them."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import tensorflow as tf


class Scored(NamedTuple):
    """What an export's `score` said of one picture; `error` is empty where it is good.

    Attributes:
        key: of the picture.
        log_prob: ln p(sentence | picture).
        error: why there is none.
    """

    key: str
    log_prob: float
    error: str


def score_pictures(
    signature: Callable, sentence: str, pictures: Iterable[tuple[str, bytes]], batch_size: int
) -> Iterator[Scored]:
    """Score a sentence for each of the pictures.

    All have the same sentence, so that its length says nothing: with every picture as probable as
    the next, the order of p(sentence | picture) is that of p(picture | sentence).

    Args:
        signature: `score` of an export.
        sentence: as its author wrote it; the export cleans it.
        pictures: (key, bytes of a picture file), consumed a batch at a time.
        batch_size: pictures in a call.
    """
    pictures = iter(pictures)
    while batch := list(islice(pictures, batch_size)):
        found = signature(
            image_bytes=tf.constant([encoded for _, encoded in batch]),
            caption=tf.fill([len(batch)], sentence),
        )
        rows = zip(batch, found["log_prob"].numpy(), found["error"].numpy(), strict=True)
        for (key, _), log_prob, error in rows:
            yield Scored(key, float(log_prob), error.decode())
