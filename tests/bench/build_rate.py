"""How fast `build_records` is against a plain Pillow loop over the same pictures.

All peers are whole processes, start-up included: the loop of `plain_loop.py`, two such loops side
by side with half of the pictures each (what this machine's second core is worth), and the job on 1
and 2 workers. Beyond the loop's work the job hashes pictures, cleans captions, writes checksummed
records, the vocabulary and the manifest. The pictures are those of the data directory whose shorter
side is above 224 pixels, again and again under new names. The rates "without start-up" take the
time of the same command on one picture off.

Example:
  python tests/bench/build_rate.py --data flickr8k_originals --json build_rate.json
"""

import argparse
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from common import Corpus, larger_pictures, make_corpus
from plain_loop import SIZE

from tfcap.bench.measure import add_arguments, alternate, ratios, report, timed

LOOP = Path(__file__).with_name("plain_loop.py")


def run_loops(corpus: Corpus, scratch: Path, count: int) -> None:
    """Run as many loops side by side, each on its part of the pictures."""
    loops = [
        subprocess.Popen(
            [sys.executable, LOOP, corpus.images, scratch / f"part{index}", str(index), str(count)]
        )
        for index in range(count)
    ]
    codes = [loop.wait() for loop in loops]
    if any(codes):
        sys.exit("a plain loop has failed; see above")


def make_peers(corpus: Corpus, scratch: Path) -> dict[str, Callable[[], float]]:
    """Return what runs the peers on a corpus and returns their seconds."""
    return {
        "plain loop": timed(functools.partial(run_loops, corpus, scratch, 1)),
        "2 plain loops": timed(functools.partial(run_loops, corpus, scratch, 2)),
        "1 worker": functools.partial(corpus.build, scratch / "records", 1),
        "2 workers": functools.partial(corpus.build, scratch / "records", 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="holds Images/ and captions.txt"
    )
    parser.add_argument("--pictures", type=int, default=7000, metavar="N")
    add_arguments(parser, rounds=5)
    arguments = parser.parse_args()
    count = arguments.pictures
    sources = larger_pictures(arguments.data, SIZE)
    with tempfile.TemporaryDirectory(prefix="build_rate-") as name:
        scratch = Path(name)
        peers = make_peers(make_corpus(arguments.data, sources, count, scratch / "all"), scratch)
        single = make_peers(make_corpus(arguments.data, sources, 1, scratch / "one"), scratch)
        both = peers | {f"{peer}, 1 picture": run for peer, run in single.items()}
        seconds = alternate(both, arguments.rounds)
    loop = seconds["plain loop"]
    metrics = {}
    for peer in peers:
        start_up = seconds[f"{peer}, 1 picture"]
        net = [a - b for a, b in zip(seconds[peer], start_up, strict=True)]
        metrics[f"{peer}: pictures/s"] = [count / value for value in seconds[peer]]
        metrics[f"{peer}: pictures/s without start-up"] = [(count - 1) / value for value in net]
        metrics[f"{peer}: start-up, seconds"] = start_up
        metrics[f"{peer}: rate over the plain loop's"] = ratios(loop, seconds[peer])
    setting = {"pictures": count, "different": len(sources), "cores": os.cpu_count()}
    report(metrics, setting, arguments.json)


if __name__ == "__main__":
    main()
