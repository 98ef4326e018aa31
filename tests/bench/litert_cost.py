"""LiteRT beside the SavedModel, each on one core: milliseconds a picture, and what captions lose.

    python tests/bench/litert.py --run RUN --dataset DATASET [--json FILE]

Both export the run first. All caption the pictures of the validation split one by one, from the
stored JPEG to text, greedily: the SavedModel with its portable signature, LiteRT with the loop of
`serving/loaders/litert` (Pillow, NumPy). Times: rounds of a few pictures in turn, medians and the
spread between the 10th and 90th percentiles. Captions: all pictures, the share that is the
SavedModel's to the letter, and CIDEr-D.
"""

import argparse
import importlib.util
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from records.manifest import load_manifest
from records.reading import read_pictures, read_references
from tfcap.bench.measure import add_arguments, alternate, ratios, readable, report
from tfcap.config import RunConfig
from tfcap.export import export_litert, export_run, load_export
from tfcap.litert import Precision
from tfcap.metrics.scores import score_captions
from tfcap.runs import CONFIG

LOOP = Path(__file__).resolve().parents[2] / "serving" / "loaders" / "litert" / "caption.py"
SAVED_MODEL = "SavedModel"
PICTURES = 20  # of a round

Caption = Callable[[bytes], str]


def make_peers(run: Path, scratch: Path) -> dict[str, Caption]:
    """Export the run in both ways; returns what captions a picture, by name."""
    spec = importlib.util.spec_from_file_location("litert_loop", LOOP)
    loop = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loop)
    signature = load_export(export_run(run, scratch / "saved", portable=True)).signatures
    litert = export_litert(run, scratch / "litert")

    def saved_model(encoded: bytes) -> str:
        found = signature["serving_default"](image_bytes=tf.constant([encoded]))
        return found["caption"].numpy()[0].decode()

    def of(precision: Precision) -> Caption:
        captioner = loop.Captioner(litert / f"caption.{precision.value}.tflite", threads=1)

        def caption(encoded: bytes) -> str:
            return captioner.caption(captioner.pixels(Image.open(io.BytesIO(encoded))))[0]

        return caption

    lite = {f"LiteRT {precision.value}": of(precision) for precision in Precision}
    return {SAVED_MODEL: saved_model, **lite}


def milliseconds(caption: Caption, encoded: list[bytes]) -> float:
    start = time.perf_counter()
    for picture in encoded:
        caption(picture)
    return 1000 * (time.perf_counter() - start) / len(encoded)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--run",
        type=readable(lambda run: RunConfig.load(run / CONFIG)),
        required=True,
        metavar="RUN",
    )
    parser.add_argument("--dataset", type=readable(load_manifest), required=True, metavar="DATASET")
    add_arguments(parser, rounds=7)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    shards = load_manifest(arguments.dataset).shard_paths(arguments.dataset, "val")
    pictures = {record.filename: record.encoded for record in read_pictures(shards)}
    references = read_references(shards)
    with tempfile.TemporaryDirectory(prefix="litert-") as scratch:
        peers = make_peers(arguments.run, Path(scratch))
        few = list(pictures.values())[:PICTURES]
        calls = {name: lambda peer=peer: milliseconds(peer, few) for name, peer in peers.items()}
        times = alternate(calls, arguments.rounds, uncounted=1)
        said = {
            name: {key: peer(row) for key, row in tqdm(pictures.items(), name)}
            for name, peer in peers.items()
        }
    metrics = {f"{name}: ms a picture": values for name, values in times.items()}
    for name in said:
        if name != SAVED_MODEL:
            metrics[f"{name} / {SAVED_MODEL}"] = ratios(times[name], times[SAVED_MODEL])
    findings = {}
    for name, captions in said.items():
        same = sum(captions[key] == said[SAVED_MODEL][key] for key in pictures)
        cider = score_captions(references, captions).cider
        findings[name] = f"{same} of {len(pictures)} captions the same, CIDEr-D {cider:.4f}"
    setting = {"run": str(arguments.run), "pictures": PICTURES, "cores": 1}
    report(metrics, setting, arguments.json, findings)


if __name__ == "__main__":
    main()
