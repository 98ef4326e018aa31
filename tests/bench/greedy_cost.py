"""What captioning costs over encoding: the greedy signature against the bare encoder.

    python tests/bench/greedy_cost.py --run RUN --images DIR [--json FILE]

Both get the same pictures. The encoder starts from decoded pixels in memory, as float32 batches,
inside a `tf.function`; the signature starts from the bytes of picture files and ends with strings.
The two alternate within each round, after one uncounted round; medians and the spread between the
10th and 90th percentiles are over the rounds. Two more rows tell where the rest goes: the
signature's picture decoding, and greedy decoding from ready features.
"""

import argparse
import functools
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from tfcap import search
from tfcap.bench.measure import add_arguments, alternate, ratios, report, timed
from tfcap.captioner import load_captioner
from tfcap.signatures import build_signatures
from tfcap.uploads import decode_upload


def make_peers(run: Path, paths: list[Path]) -> dict[str, Callable]:
    """Return the measured calls, by name, over one batch of pictures."""
    captioner = load_captioner(run)
    _, signatures = build_signatures(captioner, portable=True)
    encoded = tf.constant([path.read_bytes() for path in paths])
    pixels = tf.stack([decode_upload(row, captioner.picture) for row in encoded])
    pixels = tf.cast(pixels, tf.float32)
    encode = tf.function(lambda: captioner.encoder(pixels, training=False))
    features = encode()
    decode = tf.function(
        lambda: tf.map_fn(
            lambda row: decode_upload(row, captioner.picture), encoded, fn_output_signature=tf.uint8
        )
    )
    walk = tf.function(lambda: search.greedy(captioner.decoder, features, captioner.max_words))
    return {
        "encoder": encode,
        "signature": lambda: signatures["serving_default"](image_bytes=encoded),
        "decode pictures": decode,
        "greedy from features": walk,
    }


def call_fully(call: Callable) -> None:
    """Make a call and fetch all that it returns: TensorFlow may return before the work is done."""
    tf.nest.map_structure(lambda tensor: tensor.numpy(), call())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True, metavar="RUN")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    add_arguments(parser, rounds=25)
    arguments = parser.parse_args()
    paths = sorted(arguments.images.glob("*.jpg"))
    metrics = {}
    for batch_size in (1, 32):
        calls = make_peers(arguments.run, paths[:batch_size])
        peers = {name: timed(functools.partial(call_fully, call)) for name, call in calls.items()}
        seconds = alternate(peers, arguments.rounds, uncounted=1)
        for name, values in seconds.items():
            what = f"batch {batch_size}, {name}"
            metrics[f"{what}: ms"] = [1000 * value for value in values]
            metrics[f"{what}: times the encoder's"] = ratios(values, seconds["encoder"])
    report(metrics, {"pictures": len(paths)}, arguments.json)


if __name__ == "__main__":
    main()
