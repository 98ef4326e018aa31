"""`tfcap bench encoder`: our inference encoder against the stock Keras model and LiteRT."""

import os
import warnings
from collections.abc import Callable
from statistics import median

import keras
import numpy as np
import tensorflow as tf

from tfcap.bench.data import run_all, whole_batches
from tfcap.bench.measure import Figures, alternate, paced, ratios

BATCH_SIZES = (1, 8, 32)

Encode = Callable[[tf.Tensor], tf.Tensor]


def bench_encoder(encoder: keras.Model, encode: Encode, pixels: tf.Tensor, rounds: int) -> Figures:
    """Measure encoding alone, from pixels in memory.

    Args:
        encoder: the stock Keras model, float [B, S, S, 3] to [B, h, w, C].
        encode: ours of the same weights, from uint8 pixels.
        pixels: uint8 [n, S, S, 3].
        rounds: measurements of each.
    """
    stock = tf.function(
        lambda pixels: encoder(tf.cast(pixels, tf.float32), training=False), reduce_retracing=True
    )
    metrics, setting = {}, {"cores": os.cpu_count(), "pictures": len(pixels)}
    for batch_size in BATCH_SIZES:
        peers = {"ours": encode, "stock Keras": stock, "LiteRT": lite_encoder(encoder, batch_size)}
        peers = {name: peer for name, peer in peers.items() if peer}
        batches = whole_batches(pixels, batch_size)
        count = len(batches) * batch_size
        calls = {
            name: paced(count, lambda call=call, batches=batches: run_all(call, batches))
            for name, call in peers.items()
        }
        rates = alternate(calls, rounds, uncounted=1)
        what = f"batch {batch_size}"
        metrics |= {f"{what}, {name}: pictures/s": values for name, values in rates.items()}
        del peers["ours"]
        for name in peers:
            metrics[f"{what}, ours over {name}"] = ratios(rates["ours"], rates[name])
    difference = largest_difference(encode, stock, batches)
    return Figures(metrics, setting, {"largest difference": difference, **_findings(metrics)})


def lite_encoder(encoder: keras.Model, batch_size: int) -> Encode | None:
    """Return an encoder as LiteRT runs it with XNNPACK, on as many threads as there are cores.

    Args:
        encoder: the stock Keras model.
        batch_size: of all batches: with one that may change, not all of it gets to XNNPACK.

    Returns:
        From pixels to features; None where TensorFlow has no LiteRT.
    """
    if not hasattr(tf.lite, "Interpreter"):
        return None
    pixels = keras.Input(batch_shape=(batch_size, *encoder.input_shape[1:]))
    fixed = keras.Model(pixels, encoder(pixels, training=False))
    content = tf.lite.TFLiteConverter.from_keras_model(fixed).convert()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is to move to a package of its own
        interpreter = tf.lite.Interpreter(model_content=content, num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def encode(pixels: tf.Tensor) -> np.ndarray:
        interpreter.set_tensor(source["index"], pixels.numpy().astype(np.float32))
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return encode


def largest_difference(encode: Encode, stock: Encode, batches: list[tf.Tensor]) -> float:
    """Return the largest absolute difference of two encoders' outputs."""
    return max(float(tf.reduce_max(tf.abs(encode(b) - stock(b)))) for b in batches)


def _findings(metrics: dict[str, list[float]]) -> dict[str, str]:
    rates = {size: median(metrics[f"batch {size}, ours: pictures/s"]) for size in BATCH_SIZES}
    best = max(rates, key=rates.get)
    return {
        "bottleneck": "encode",
        "remedy": f"batches of {best}: {rates[best]:.0f} pictures/s (--batch-size {best})",
    }
