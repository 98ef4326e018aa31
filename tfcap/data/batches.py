"""From serialized records to batches of pictures and captions, and on to features.

A record carries all captions of its picture, so that all of them train against one encoding.
What takes time is decoding. It runs in parallel, picture by picture, and tf.data fuses it with
the batching that follows: each picture is copied into its batch while it is still in the cache of
the core that decoded it. The captions take a fraction of that, if a batch at a time.
"""

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf

from records.pictures import PictureSpec
from records.vocabulary import PAD_ID
from tfcap.augment import AugmentSpec
from tfcap.augment import augment as augment_picture
from tfcap.data.damage import Corrupt
from tfcap.data.options import pipeline_options
from tfcap.data.order import Order
from tfcap.data.passes import Passes
from tfcap.data.reading import read_records
from tfcap.pictures import decode_picture
from tfcap.text import CaptionIds, teacher_forcing

# The part of a record that training reads.
FEATURES = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/filename": tf.io.FixedLenFeature([], tf.string),
    "caption/text": tf.io.RaggedFeature(tf.string),
}


def caption_batches(
    shards: Sequence[Path],
    picture: PictureSpec,
    ids: CaptionIds,
    max_words: int,
    batch_size: int,
    order: Order | Passes | None = None,
    augment: AugmentSpec | None = None,
    corrupt: Corrupt | None = None,
    in_graph: bool = False,
) -> tf.data.Dataset:
    """Read, decode, augment and batch records.

    Args:
        shards: TFRecord files.
        picture: how pictures become pixels.
        ids: the vocabulary in the graph.
        max_words: longer captions are cut.
        batch_size: pictures in a batch of all hosts together, of which this one reads its share;
            the last batch may have fewer.
        order: of an epoch of training, or of each pass; stored order without it.
        augment: how pictures vary, as the epoch and the position in it draw.
        corrupt: counts damaged records, which their batches then lack; without it, damage is an
            error.
        in_graph: as of `read_records`, for what `tfcap.data.service` distributes.

    Returns:
        Batches of a dict: `image` uint8 [B, S, S, 3], `key` string [B], and `inputs` and
        `targets`, int32 [B, K, T], with K the most captions and T the longest caption in the
        batch; shorter and missing ones are <pad>.

    Raises:
        ValueError: there is something to augment by, and no order.
    """
    if augment and order is None:
        raise ValueError(f"{augment} needs the order of an epoch")
    passes = Passes.of(order) if order else None
    share, epoch_seed = batch_size, 0
    if passes:
        share, epoch_seed = batch_size // passes.order.hosts, passes.order.epoch_seed()
        if not in_graph:  # variables do not travel
            [epoch_seed] = passes.variables(lambda order: [order.epoch_seed()])
    records = read_records(shards, passes, batch_size, corrupt, in_graph)
    batches = decoded_batches(records, picture, share, augment, epoch_seed, gaps=bool(corrupt))

    def add_captions(image, serialized):
        return {"image": image, **parse_captions(serialized, ids, max_words)}

    return batches.map(add_captions, num_parallel_calls=1).with_options(pipeline_options())


def decoded_batches(
    records: tf.data.Dataset,
    picture: PictureSpec,
    batch_size: int,
    augment: AugmentSpec | None = None,
    epoch_seed: int | tf.Variable = 0,
    gaps: bool = False,
) -> tf.data.Dataset:
    """Decode and augment the pictures of records, on all cores.

    Args:
        records: (position int64 [], serialized record string []), as of `read_records`.
        picture: how pictures become pixels.
        batch_size: records in a batch.
        augment: how pictures vary.
        epoch_seed: draws how, together with the position.
        gaps: whether records may be empty, where damaged ones were: their batch lacks them.

    Returns:
        Batches (image uint8 [B, S, S, 3], serialized records string [B]).
    """
    features = _part("image/encoded", "caption/text") if augment else _part("image/encoded")
    if gaps:
        black = tf.io.encode_jpeg(tf.zeros([picture.size, picture.size, 3], tf.uint8)).numpy()
        features["image/encoded"] = features["image/encoded"]._replace(default_value=black)

    def decode(position, serialized):
        record = tf.io.parse_single_example(serialized, features)
        image = decode_picture(record["image/encoded"], picture)
        if augment:
            seed = tf.stack([tf.cast(epoch_seed, tf.int64), position])
            image = augment_picture(image, record["caption/text"], seed, augment)
        return image, serialized

    batches = records.map(decode, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size)
    return batches.map(_drop_empty).filter(_has_rows) if gaps else batches


def parse_captions(serialized: tf.Tensor, ids: CaptionIds, max_words: int) -> dict[str, tf.Tensor]:
    """Parse the captions of a batch of records.

    Args:
        serialized: records, string [B].
        ids: the vocabulary in the graph.
        max_words: longer captions are cut.

    Returns:
        `key` string [B], `inputs` and `targets`, int32 [B, K, T], as of `caption_batches`.
    """
    record = tf.io.parse_example(serialized, _part("image/filename", "caption/text"))
    texts = record["caption/text"]
    framed = teacher_forcing(ids.encode(texts.flat_values), max_words)  # two of [all captions, T]
    rows = tf.RaggedTensor.from_row_splits(
        tf.stack(framed, axis=1), texts.row_splits, validate=False
    )
    inputs, targets = tf.unstack(rows.to_tensor(PAD_ID), num=2, axis=2)
    return {"key": record["image/filename"], "inputs": inputs, "targets": targets}


def encoded(batches: tf.data.Dataset, encode: Callable[[tf.Tensor], tf.Tensor]) -> tf.data.Dataset:
    """Replace `image` by `features`, and prefetch, to a GPU if there is one.

    A dataset makes its functions anew for every epoch: for an encoder, that takes as long as the
    encoding of a hundred pictures and more, and the result, not optimized as other functions are,
    is slower. So the batches go through Python to the encoder itself, which stays ready.

    Args:
        batches: dicts with `image`, as of `caption_batches`.
        encode: uint8 [B, S, S, 3] to float32 [B, h, w, C], as of `inference_encoder`.

    Returns:
        The same dicts, with `features` instead; the next are made while the current one trains.
    """
    size = batches.element_spec["image"].shape[1:]
    shape = encode(tf.zeros([1, *size], tf.uint8)).shape
    _ENCODES[id(encode)] = encode

    def add_features(batch):
        rest = {name: tensor for name, tensor in batch.items() if name != "image"}
        # `id(encode)` also keeps it alive: datasets hold on to their functions.
        features = tf.py_function(_encode, [id(encode), batch["image"]], tf.float32)
        return {"features": tf.ensure_shape(features, [None, *shape[1:]]), **rest}

    features = batches.map(add_features, num_parallel_calls=1)
    if tf.config.list_logical_devices("GPU"):
        return features.apply(tf.data.experimental.prefetch_to_device("/GPU:0"))
    return features.prefetch(2)


# TensorFlow keeps what `py_function` calls for ever: a function of the module, that looks up the
# encoder by its id, and not one that holds on to it.
_ENCODES: weakref.WeakValueDictionary[int, Callable] = weakref.WeakValueDictionary()


def _encode(handle: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    return _ENCODES[int(handle)](image)


def _part(*names: str) -> dict:
    return {name: FEATURES[name] for name in names}


def _drop_empty(image: tf.Tensor, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    whole = serialized != ""
    return tf.boolean_mask(image, whole), tf.boolean_mask(serialized, whole)


def _has_rows(image: tf.Tensor, serialized: tf.Tensor) -> tf.Tensor:
    return tf.size(serialized) > 0
