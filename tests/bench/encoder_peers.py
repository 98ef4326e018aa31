"""Pictures a second of the inference encoder and its peers, from pixels in memory to features.

    python tests/bench/encoder_peers.py --weights-dir DIR [--threads N] [--json FILE]

The peers get the same float32 batches: the stock Keras model called in a `tf.function`; our
`inference_encoder`; and LiteRT with XNNPACK, on as many threads, where TensorFlow has its
interpreter. They take turns within each round, after two uncounted ones; one measurement goes on
until it has seen 64 pictures. The ratios are of single rounds. CPU milliseconds a picture, over
all threads, tell them apart on a busy machine, where the rates do not. The largest difference to
the stock model is in units of the features' standard deviation.
"""

import argparse
import contextlib
import functools
import io
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfcap.bench.measure import add_arguments, alternate, ratios, report
from tfcap.encoders import build_encoder, inference_encoder

WEIGHTS = {
    "mobilenet_v3_small": "mobilenet_v3_small_224_no_top.h5",
    "mobilenet_v3_large_minimalistic": "mobilenet_v3_large_minimalistic_224_no_top.weights.h5",
}
BATCHES = (1, 8, 32)
SIZE = 224
PICTURES = 64  # in one measurement
STOCK, OURS, LITERT = "Keras", "inference_encoder", "LiteRT"
Encode = Callable[[tf.Tensor], tf.Tensor | np.ndarray]


def litert(encoder: keras.Model, batch: int, threads: int) -> Encode:
    """Return the encoder in LiteRT, whose interpreter takes XNNPACK for float networks."""
    # Batches of variable size would be resized at each call, or not get to XNNPACK at all.
    pixels = keras.Input(batch_shape=(batch, *encoder.input_shape[1:]))
    fixed = keras.Model(pixels, encoder(pixels, training=False))
    with contextlib.redirect_stdout(io.StringIO()):  # it lists every variable
        content = tf.lite.TFLiteConverter.from_keras_model(fixed).convert()
    interpreter = tf.lite.Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()

    def encode(pixels: tf.Tensor) -> np.ndarray:
        interpreter.set_tensor(source["index"], pixels.numpy())
        interpreter.invoke()
        return interpreter.get_tensor(target["index"])

    return encode


def measured(encode: Encode, pixels: tf.Tensor) -> Callable[[], tuple[float, float]]:
    """Return a measurement: (pictures a second, CPU milliseconds a picture)."""
    calls = max(1, PICTURES // len(pixels))

    def measure() -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(calls):
            np.asarray(encode(pixels))  # TensorFlow may return before the work is done
        pictures = calls * len(pixels)
        seconds, busy = time.perf_counter() - wall, time.process_time() - cpu
        return pictures / seconds, 1000 * busy / pictures

    return measure


def compare(encoder: keras.Model, batch: int, threads: int, rounds: int) -> tuple[dict, dict]:
    """Measure the peers at one batch size; returns (metrics, findings)."""
    stock = tf.function(functools.partial(encoder, training=False))
    peers = {STOCK: stock, OURS: inference_encoder(encoder)}
    if hasattr(tf, "lite"):
        peers[LITERT] = litert(encoder, batch, threads)
    generator = np.random.default_rng(batch)
    pixels = tf.constant(generator.integers(0, 256, (batch, SIZE, SIZE, 3)), tf.float32)
    expected = stock(pixels).numpy()
    findings = {
        f"{name}: largest difference": float(
            abs(np.asarray(encode(pixels)) - expected).max() / expected.std()
        )
        for name, encode in peers.items()
        if name != STOCK
    }
    measurements = {name: measured(encode, pixels) for name, encode in peers.items()}
    results = alternate(measurements, rounds, uncounted=2)
    rates = {name: [rate for rate, _ in values] for name, values in results.items()}
    busy = {name: [cpu for _, cpu in values] for name, values in results.items()}
    metrics = {}
    for name in peers:
        metrics[f"{name}: pictures/s"] = rates[name]
        metrics[f"{name}: CPU ms a picture"] = busy[name]
        if name != OURS:
            metrics[f"{OURS} over {name}: rate"] = ratios(rates[OURS], rates[name])
            metrics[f"{OURS} over {name}: pictures per CPU time"] = ratios(busy[name], busy[OURS])
    return metrics, findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--weights-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    add_arguments(parser, rounds=9)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    metrics, findings = {}, {}
    for name, file in WEIGHTS.items():
        encoder = build_encoder(name, SIZE, str(arguments.weights_dir / file))
        for batch in BATCHES:
            found = compare(encoder, batch, arguments.threads, arguments.rounds)
            for collected, new in zip((metrics, findings), found, strict=True):
                collected |= {
                    f"{name}, batch {batch}, {what}": value for what, value in new.items()
                }
    setting = {"size": SIZE, "threads": arguments.threads, "weights": WEIGHTS}
    report(metrics, setting, arguments.json, findings)


if __name__ == "__main__":
    main()
