"""What the orders of an epoch cost over reading the shards from end to end.

Records a second of a split, stored, shuffled by index and as a stream, of the bare records and of
the real pipeline (decoded, squashed, batched); and of the bare records as the workers of the
tf.data service read them. The peers alternate, so that a busy machine disturbs them alike.

Example:
  python tests/bench/random_access.py --dataset records/flickr8k --json random_access.json
"""

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from records.manifest import VOCABULARY, load_manifest
from records.vocabulary import Vocabulary
from tfcap.data import Order, caption_batches, read_records
from tfcap.text import CaptionIds

BATCH_SIZE, MAX_WORDS, WINDOW = 32, 20, 1024
ORDERS = {
    "sequential": None,
    "shuffled": Order(seed=1, epoch=0),
    "stream": Order(seed=1, epoch=0, window=WINDOW),
}


def make_peers(directory: Path, split: str) -> dict[str, Callable[[], tf.data.Dataset]]:
    """Return what makes a dataset of a split; of those of a pair, only the order differs."""
    manifest = load_manifest(directory)
    shards = manifest.shard_paths(directory, split)
    ids = CaptionIds(Vocabulary.read(directory / VOCABULARY))
    options = tf.data.Options()
    options.autotune.enabled = False  # as in `caption_batches`

    def bare(order: Order | None, in_graph: bool = False) -> tf.data.Dataset:
        records = read_records(shards, order, in_graph=in_graph)
        return records.batch(BATCH_SIZE).with_options(options)

    def decoded(order: Order | None) -> tf.data.Dataset:
        return caption_batches(shards, manifest.picture, ids, MAX_WORDS, BATCH_SIZE, order)

    return {
        **{
            f"{what}, {how}": functools.partial(make, order)
            for what, make in (("bare", bare), ("decoded", decoded))
            for how, order in ORDERS.items()
        },
        "bare, in graph": functools.partial(bare, ORDERS["shuffled"], in_graph=True),
    }


def measure(peers: dict[str, Callable], records: int, rounds: int) -> dict[str, dict]:
    """Return `records_per_second` and `cpu_microseconds` a record, of each peer in each round.

    A first round does not count. The CPU time, of all threads, is what a busy machine leaves alone.
    """
    figures = {name: {"records_per_second": [], "cpu_microseconds": []} for name in peers}
    for round_ in range(rounds + 1):
        for name, make in peers.items():
            batches = make()
            start, cpu_start = time.perf_counter(), time.process_time()
            for _ in batches:
                pass
            seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
            if round_:
                figures[name]["records_per_second"].append(records / seconds)
                figures[name]["cpu_microseconds"].append(1e6 * cpu_seconds / records)
    return figures


def compare(ones: list[float], others: list[float]) -> list[float]:
    """Return the ratio of each round."""
    return [one / other for one, other in zip(ones, others, strict=True)]


def spread(values: list[float]) -> str:
    """Return the median and the extremes as text."""
    median = statistics.median(values)
    return f"{median:10.4g} [{min(values):.4g}, {max(values):.4g}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", type=Path, required=True, metavar="DIR")
    parser.add_argument("--split", default="train")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    records = load_manifest(arguments.dataset).records(arguments.split)
    figures = measure(make_peers(arguments.dataset, arguments.split), records, arguments.rounds)
    for name, values in figures.items():
        print(f"{name:20}", *(f"{what} {spread(row)}" for what, row in values.items()))
    ratios = {
        name: {
            figure: compare(
                values[figure], figures[f"{name.partition(',')[0]}, sequential"][figure]
            )
            for figure in values
        }
        for name, values in figures.items()
    }
    for name, row in ratios.items():
        print(f"{name} / sequential:", *(f"{what} {spread(row[what])}" for what in row))
    if arguments.json:
        report = {"records": records, "figures": figures, "ratios": ratios}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
