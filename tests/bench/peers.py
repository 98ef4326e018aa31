"""How fast others shard the same pictures: img2dataset, and TFDS with its Beam writer.

Whole processes, start-up included, each with 1 and 2 worker processes:
- ours: decode, check, normalise, clean captions, hash, checksummed records, resume.
- img2dataset from a list of file:// URLs: decode and scale with OpenCV, SHA-256 of the source, one
  caption a picture, WebDataset shards; its resume works by shard.
- TFDS (`tfds_peer.py`): the plain loop's normalising in a Beam step; the writer shuffles the
  encoded examples through Beam; neither checks of captions nor resume.

Where --venv is not there yet, it is made, with the versions below.

Example:
  python tests/bench/peers.py --data flickr8k_originals --venv /tmp/peers --json peers.json
"""

import argparse
import csv
import functools
import json
import os
import shutil
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path

from common import Corpus, larger_pictures, make_corpus, read_captions, run_quietly
from plain_loop import QUALITY, SIZE

from tfcap.bench.measure import add_arguments, alternate, ratios, report, timed

VERSIONS = (
    "apache-beam==2.77.0",
    "img2dataset==1.47.0",
    "pillow==12.3.0",
    "tensorflow-cpu==2.21.0",
    "tensorflow-datasets==4.9.10",
)
# No slower than 1 or 4 for local files; the default of 256 is meant for slow servers.
_DOWNLOAD_THREADS = 32
_PICTURES_PER_SHARD = 512
_WORKERS = (1, 2)


def install(directory: Path) -> None:
    """Make the peers' environment, unless it is there."""
    if directory.exists():
        return
    print(f"installing {', '.join(VERSIONS)} into {directory}")
    venv.create(directory, with_pip=True)
    run_quietly([directory / "bin/pip", "install", "--quiet", *VERSIONS])


def write_url_list(corpus: Corpus, path: Path) -> None:
    """Write what img2dataset reads: the URL and a caption of each picture."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["url", "caption"])
        for name, captions in read_captions(corpus.captions).items():
            rows.writerow([(corpus.images / name).as_uri(), captions[0]])


def run_img2dataset(environment: Path, urls: Path, output: Path, count: int, workers: int) -> float:
    """Shard the listed pictures; returns the seconds of the whole process."""
    command = f"""
        --input_format csv --url_col url --caption_col caption --output_format webdataset
        --processes_count {workers} --thread_count {_DOWNLOAD_THREADS}
        --image_size {SIZE} --resize_mode keep_ratio --resize_only_if_bigger True
        --encode_quality {QUALITY} --number_sample_per_shard {_PICTURES_PER_SHARD}
    """.split()
    paths = ["--url_list", urls, "--output_folder", output]
    run = functools.partial(run_quietly, [environment / "bin/img2dataset", *paths, *command])
    seconds = timed(run)()
    shards = [json.loads(path.read_text()) for path in output.glob("*_stats.json")]
    _check("img2dataset", sum(shard["successes"] for shard in shards), count)
    shutil.rmtree(output)
    return seconds


def run_tfds(environment: Path, corpus: Corpus, output: Path, workers: int) -> float:
    """Shard a corpus; returns the seconds of the whole process."""
    script = Path(__file__).with_name("tfds_peer.py")
    python = environment / "bin/python"
    run = functools.partial(
        run_quietly,
        [python, script, corpus.directory, output, str(workers)],
        env={**os.environ, "PYTHONPATH": str(script.parent), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    seconds = timed(run)()
    info = json.loads(next(output.rglob("dataset_info.json")).read_text())
    written = sum(int(length) for split in info["splits"] for length in split["shardLengths"])
    _check("TFDS", written, corpus.pictures)
    shutil.rmtree(output)
    return seconds


def make_peers(environment: Path, corpus: Corpus, scratch: Path) -> dict[str, Callable[[], float]]:
    """Return what runs the peers on a corpus and returns their seconds."""
    urls, output = scratch / "urls.csv", scratch / "output"
    write_url_list(corpus, urls)
    peers = {}
    for workers in _WORKERS:
        peers["ours", workers] = functools.partial(corpus.build, output, workers)
        peers["img2dataset", workers] = functools.partial(
            run_img2dataset, environment, urls, output, corpus.pictures, workers
        )
        peers["TFDS", workers] = functools.partial(run_tfds, environment, corpus, output, workers)
    return peers


def _check(peer: str, written: int, wanted: int) -> None:
    if written != wanted:
        sys.exit(f"{peer} wrote {written} pictures of {wanted}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="holds Images/ and captions.txt"
    )
    parser.add_argument("--venv", type=Path, required=True, metavar="DIR")
    parser.add_argument("--pictures", type=int, default=4000, metavar="N")
    add_arguments(parser, rounds=5)
    arguments = parser.parse_args()
    environment = arguments.venv.resolve()
    install(environment)
    count = arguments.pictures
    sources = larger_pictures(arguments.data, SIZE)
    with tempfile.TemporaryDirectory(prefix="peers-") as name:
        corpus = make_corpus(arguments.data, sources, count, Path(name) / "corpus")
        peers = make_peers(environment, corpus, Path(name))
        seconds = alternate(peers, arguments.rounds)
    metrics = {
        f"{peer}, {workers} processes: pictures/s": [count / value for value in values]
        for (peer, workers), values in seconds.items()
    }
    for peer, workers in peers:
        if peer != "ours":
            # Rates, theirs over ours: the inverse of the seconds.
            ours, theirs = seconds["ours", workers], seconds[peer, workers]
            metrics[f"{peer}, {workers} processes: rate over ours"] = ratios(ours, theirs)
    report(metrics, {"pictures": count, "versions": VERSIONS}, arguments.json)


if __name__ == "__main__":
    main()
