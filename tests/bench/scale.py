"""`build_records` over hundreds of thousands of records, drawn for the purpose.

Small pictures of one colour each in a tar file, two captions a picture as JSONL, splits by hash.
Prints time and peak memory, then verifies all of it and finds one record by its key.

Example:
  python tests/bench/scale.py --pictures 200000 --scratch scale --json scale.json
"""

import argparse
import io
import json
import shutil
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from memory import peak_megabytes
from PIL import Image
from tqdm import tqdm

from records.index import find_record
from records.manifest import load_manifest
from records.verify import verify_dataset

T = TypeVar("T")

SIDE = 48
PICTURES_PER_SHARD = 5000


def draw(number: int) -> bytes:
    """Return a JPEG of one colour, another one for each of the first 16 million numbers."""
    buffer = io.BytesIO()
    colour = (number & 0xFF, number >> 8 & 0xFF, number >> 16 & 0xFF)
    Image.new("RGB", (SIDE, SIDE), colour).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def draw_source(directory: Path, pictures: int) -> None:
    """Write `pictures.tar` and `captions.jsonl`."""
    directory.mkdir(parents=True)
    with (
        tarfile.open(directory / "pictures.tar", "w") as archive,
        (directory / "captions.jsonl").open("w", encoding="utf-8") as captions,
    ):
        for number in tqdm(range(pictures), "drawing", unit=" pictures"):
            key, content = f"{number:08d}.jpg", draw(number)
            member = tarfile.TarInfo(key)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
            said = [f"A picture of colour {number % 997} .", "It shows one colour"]
            captions.write(json.dumps({"image": key, "captions": said}) + "\n")


def command(directory: Path, output: Path, pictures: int, workers: int) -> list[str]:
    """Return the command line that builds the records."""
    shards = max(1, pictures // 2 // PICTURES_PER_SHARD)
    return [
        *f"{sys.executable} -m beam_jobs.build_records --name drawn".split(),
        f"--images={directory / 'pictures.tar'}",
        f"--captions={directory / 'captions.jsonl'}",
        f"--output={output}",
        "--splits=val=0.5,train=0.5",
        f"--shards-per-split={shards}",
        f"--workers={workers}",
    ]


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that a call takes, and what it returns."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=200_000, metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--scratch", type=Path, required=True, help="emptied first")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    source, output = arguments.scratch.absolute() / "source", arguments.scratch.absolute() / "out"
    shutil.rmtree(arguments.scratch, ignore_errors=True)
    draw_source(source, arguments.pictures)
    build = command(source, output, arguments.pictures, arguments.workers)
    seconds, peaks = timed(lambda: peak_megabytes(build, arguments.workers))
    verifying, damages = timed(lambda: verify_dataset(output))
    manifest = load_manifest(output)
    finding, found = timed(lambda: find_record(output, manifest, "00000042.jpg"))
    figures = {
        "pictures": arguments.pictures,
        "workers": arguments.workers,
        "records": sum(manifest.records(split) for split in manifest.splits),
        "shards": sum(len(info.shards) for info in manifest.split_infos.values()),
        "build seconds": round(seconds, 1),
        "pictures/s": round(arguments.pictures / seconds),
        **{f"{role} peak MB": round(peak) for role, peak in peaks.items()},
        "verify seconds": round(verifying, 1),
        "damages": len(damages),
        "find one record, seconds": round(finding, 4),
    }
    print(json.dumps(figures, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    shutil.rmtree(arguments.scratch)
    return int(figures["records"] != arguments.pictures or bool(damages) or found is None)


if __name__ == "__main__":
    sys.exit(main())
