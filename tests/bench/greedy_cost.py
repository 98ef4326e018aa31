"""What captioning costs over encoding: the greedy signature against the bare encoder.

    python tests/bench/greedy_cost.py --run RUN --images DIR [--json FILE]

Both get the same pictures. The encoder starts from decoded pixels in memory, as float32 batches,
inside a `tf.function`; the signature starts from the bytes of picture files and ends with strings.
The two alternate within each round, after one uncounted round; medians and the spread between the
10th and 90th percentiles are over the rounds. Two more rows tell where the rest goes: the
signature's picture decoding, and greedy decoding from ready features.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from tfcap import search
from tfcap.captioner import load_captioner
from tfcap.pictures import decode_upload
from tfcap.signatures import build_signatures


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


def measure(peers: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    """Return milliseconds of each call of each peer; the peers alternate."""
    times = {name: [] for name in peers}
    for round_ in range(rounds + 1):
        for name, call in peers.items():
            start = time.perf_counter()
            tf.nest.map_structure(lambda tensor: tensor.numpy(), call())
            if round_:
                times[name].append(1000 * (time.perf_counter() - start))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True, metavar="RUN")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    paths = sorted(arguments.images.glob("*.jpg"))
    report = {}
    for batch_size in (1, 32):
        times = measure(make_peers(arguments.run, paths[:batch_size]), arguments.rounds)
        medians = {name: statistics.median(values) for name, values in times.items()}
        for name, values in times.items():
            deciles = statistics.quantiles(values, n=10)
            ratio = medians[name] / medians["encoder"]
            print(
                f"batch {batch_size:2}  {name:21} {medians[name]:8.2f} ms "
                f"[{deciles[0]:.2f}, {deciles[-1]:.2f}]  {ratio:.2f} x encoder"
            )
        report[batch_size] = {"milliseconds": times, "medians": medians}
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
