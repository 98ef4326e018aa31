"""`tfcap bench data`: every stage from records to features alone, and all of them together."""

import os
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfcap.bench.measure import Figures, alternate, paced, ratios
from tfcap.bench.sample import Sample
from tfcap.bench.stages import implied_rate, limiting
from tfcap.data import caption_batches, encoded, read_records
from tfcap.data.batches import decoded_batches, parse_captions
from tfcap.data.options import pipeline_options
from tfcap.pictures import decode_picture, squash

BLOCK = 64  # records that a stage hands to Python at a time
MAX_WORDS = 20
DISTINCT_BATCHES = 8  # of pixels that are held in memory, and gone round over
DECODED = 256  # pictures of any size that are held in memory to be resized

Encode = Callable[[tf.Tensor], tf.Tensor]


def bench_data(sample: Sample, encode: Encode, batch_size: int, rounds: int) -> Figures:
    """Measure the input pipeline.

    Args:
        sample: the records.
        encode: pixels uint8 [B, S, S, 3] to features [B, h, w, C].
        batch_size: pictures in a batch.
        rounds: measurements of each stage.
    """
    batch_size = min(batch_size, sample.pictures)
    peers = _record_stages(sample, batch_size) | _batch_stages(sample, encode, batch_size)
    peers["end to end"] = _streaming(sample, encode, batch_size)
    rates = alternate(peers, rounds, uncounted=1)
    chain = {"read": "read by index", "decode": "decode", "encode": "encode"}
    implied = [
        implied_rate(each) for each in zip(*(rates[name] for name in chain.values()), strict=True)
    ]
    metrics = {f"{name}: pictures/s": values for name, values in rates.items()}
    metrics |= {
        "implied by read, decode and encode: pictures/s": implied,
        "end to end over what is implied": ratios(rates["end to end"], implied),
        "decode over tf.io.decode_jpeg": ratios(rates["decode"], rates["tf.io.decode_jpeg"]),
        "read by index over in order": ratios(rates["read by index"], rates["read in order"]),
    }
    stages = {stage: rates[name] for stage, name in chain.items()} | {"parse": rates["parse"]}
    if sample.needs_resize:  # the decode stage squashes as well: look at its two halves
        stages |= {"decode": rates["tf.io.decode_jpeg"], "resize": rates["resize"]}
    if "to the device" in rates:
        stages["to the device"] = rates["to the device"]
    setting = {"pictures": sample.pictures, "batch_size": batch_size, "cores": os.cpu_count()}
    return Figures(metrics, setting, limiting(stages))


def drain(dataset: tf.data.Dataset) -> None:
    """Take all that a dataset gives."""
    for _ in dataset:
        pass


def decoded_pixels(sample: Sample, count: int) -> tf.Tensor:
    """Return the first so many pictures, uint8 [n, S, S, 3]; n may be less."""
    picture = sample.manifest.picture
    return tf.stack([decode_picture(jpeg, picture) for jpeg in sample.jpegs[:count]])


def whole_batches(pixels: tf.Tensor, batch_size: int) -> list[tf.Tensor]:
    """Cut pictures into batches of one size, one at least; pictures come twice to fill it."""
    count = batch_size * max(1, len(pixels) // batch_size)
    rows = tf.gather(pixels, tf.range(count) % len(pixels))
    return tf.unstack(tf.reshape(rows, [-1, batch_size, *pixels.shape[1:]]))


def _record_stages(sample: Sample, batch_size: int) -> dict[str, Callable[[], float]]:
    """Return the stages from records to pixels; each gives pictures a second."""
    count, ids = sample.pictures, sample.ids
    rows = tf.data.Dataset.from_tensor_slices
    records = rows((tf.range(count, dtype=tf.int64), sample.serialized))
    batches = rows(sample.serialized).batch(batch_size)
    stages = {
        "read by index": read_records(sample.shards, sample.order).batch(BLOCK),
        "read in order": read_records(sample.shards).take(count).batch(BLOCK),
        "parse": batches.map(
            lambda serialized: parse_captions(serialized, ids, MAX_WORDS),
            num_parallel_calls=tf.data.AUTOTUNE,
        ),
        "decode": decoded_batches(records, sample.manifest.picture, batch_size),
    }
    raw = rows(sample.jpegs).map(_decode_raw, num_parallel_calls=tf.data.AUTOTUNE)
    if sample.needs_resize:
        raw = raw.map(lambda pixels: pixels[0, 0, 0])  # of many sizes: there is no batch of them
    stages["tf.io.decode_jpeg"] = raw.batch(batch_size)
    peers = {name: _paced(count, stage) for name, stage in stages.items()}
    return peers | (_resize_stage(sample) if sample.needs_resize else {})


def _decode_raw(jpeg):
    return tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE")


def _resize_stage(sample: Sample) -> dict[str, Callable[[], float]]:
    jpegs, picture = sample.jpegs[:DECODED], sample.manifest.picture
    pixels = tf.data.Dataset.from_tensor_slices(jpegs).map(_decode_raw).cache()
    drain(pixels)
    resized = pixels.map(
        lambda pixels: squash(pixels, picture), num_parallel_calls=tf.data.AUTOTUNE
    )
    return {"resize": _paced(len(jpegs), resized.batch(BLOCK))}


def _paced(count: int, dataset: tf.data.Dataset) -> Callable[[], float]:
    dataset = dataset.with_options(pipeline_options())
    return paced(count, lambda: drain(dataset))


def _batch_stages(
    sample: Sample, encode: Encode, batch_size: int
) -> dict[str, Callable[[], float]]:
    """Return the stages that work batch by batch."""
    batches = whole_batches(decoded_pixels(sample, DISTINCT_BATCHES * batch_size), batch_size)
    turns = [batches[turn % len(batches)] for turn in range(sample.pictures // batch_size)]
    count = len(turns) * batch_size
    peers = {"encode": paced(count, lambda: run_all(encode, turns))}
    if tf.config.list_logical_devices("GPU"):
        with tf.device("CPU"):
            hosted = [tf.identity(batch) for batch in turns]
        peers["to the device"] = paced(count, lambda: run_all(_to_device, hosted))
    return peers


def run_all(function: Callable[[tf.Tensor], tf.Tensor], batches: Sequence[tf.Tensor]) -> None:
    """Call a function on batches, and wait for what it does on a device."""
    for batch in batches:
        result = function(batch)
    tf.reduce_sum(tf.cast(result[:1], tf.float32)).numpy()


def _to_device(batch):
    with tf.device("GPU:0"):
        return tf.identity(batch)


def _streaming(sample: Sample, encode: Encode, batch_size: int) -> Callable[[], float]:
    steps = sample.pictures // batch_size
    batches = caption_batches(
        sample.shards, sample.manifest.picture, sample.ids, MAX_WORDS, batch_size, sample.order
    )
    features = encoded(batches.take(steps), encode)
    return paced(steps * batch_size, lambda: drain(features))
