"""What becomes of a build under every fault we could think of; exit code 1 on a surprise.

    python tests/soak/faults.py --images DIR --captions FILE --scratch DIR [--json FILE]

Kills with signal 9, flipped bytes and cut shards, a full disk, pictures that vanish, mutated
pictures and captions files. Byte-identical always means: every file of the directory, compared with
those of an undisturbed build.
"""

import argparse
import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from beam_jobs.build_records import main as build_records
from records.dead_letters import Reason
from records.manifest import load_manifest
from records.verify import verify_dataset
from tfcap.cli.main import main as tfcap

REPOSITORY = Path(__file__).resolve().parents[2]
SHARDS = 8


class Bench:
    """The place where faults happen: a source, and the undisturbed build of it."""

    def __init__(self, images: Path, captions: Path, scratch: Path, seed: int):
        self.images, self.captions, self.scratch = images, captions, scratch
        self.random = random.Random(seed)
        self.undisturbed = scratch / "undisturbed"
        self.output = scratch / "output"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        quietly(build_records, self.arguments(self.undisturbed))
        self.expected = contents(self.undisturbed)

    def source(self, images: Path | None = None, captions: Path | None = None) -> list[str]:
        """Return the options that name the source."""
        return [
            f"--images={images or self.images}",
            f"--captions={captions or self.captions}",
            "--splits=train=0.8,val=0.2",
        ]

    def arguments(self, output: Path, *more: str, **source: Path) -> list[str]:
        """Return the arguments of `build_records`."""
        shards = f"--shards-per-split={SHARDS}"
        return [*self.source(**source), f"--output={output}", shards, "--min-count=2", *more]

    def fresh(self) -> None:
        """Remove the output directory."""
        shutil.rmtree(self.output, ignore_errors=True)

    def is_identical(self) -> bool:
        """Tell whether the output is the undisturbed one, byte for byte."""
        return contents(self.output) == self.expected


def contents(directory: Path) -> dict[str, bytes]:
    """Return the bytes of each file in a directory and below."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def quietly(command: Callable[[list[str]], int], arguments: list[str]) -> tuple[int, str]:
    """Run a command in this process; returns its exit code and the last line it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = command(arguments)
    lines = re.split(r"[\r\n]+", said.getvalue().strip())
    return code, lines[-1]


def kills(bench: Bench, count: int) -> dict:
    """Kill the job with signal 9 at random moments, launcher alone or with its workers."""
    command = [sys.executable, "-m", "beam_jobs.build_records"]
    arguments = bench.arguments(bench.output, "--workers=2")
    started = time.monotonic()
    subprocess.run([*command, *arguments], cwd=REPOSITORY, check=True, capture_output=True)
    whole_run = time.monotonic() - started
    result = Counter(runs=0, identical=0, kept_shards=0, finished_before=0)
    for number in tqdm(range(count), "kill -9"):
        bench.fresh()
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(bench.random.uniform(0, 1.05 * whole_run))
        result["finished_before"] += process.poll() is not None
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if number % 2 else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
        result["kept_shards"] += len(list(bench.output.glob(".incomplete/receipt-*")))
        # At once: workers of a launcher that was killed alone may still be there.
        again = subprocess.run([*command, *arguments], cwd=REPOSITORY, capture_output=True)
        result["runs"] += 1
        result["identical"] += again.returncode == 0 and bench.is_identical()
    return {"expected": count, "got": result["identical"], **result}


def damages(bench: Bench, count: int) -> dict:
    """Flip one byte of a shard, or cut it, then verify and repair."""
    bench.fresh()
    shutil.copytree(bench.undisturbed, bench.output)
    result = Counter(flips=0, cuts=0, reported_with_place=0, identical=0)
    shards = sorted(bench.output.glob("*.tfrecord-*"))
    repair = ["verify", str(bench.output), "--repair", *bench.source()]
    for number in tqdm(range(count), "damages"):
        path = bench.random.choice(shards)
        content = bytearray(path.read_bytes())
        at = bench.random.randrange(len(content))
        if number % 2:
            content[at] ^= bench.random.randrange(1, 256)
        else:
            del content[at:]
        result["flips" if number % 2 else "cuts"] += 1
        path.write_bytes(content)
        found = verify_dataset(bench.output)
        place = [damage.offset for damage in found if damage.offset is not None]
        right_file = {damage.file for damage in found} == {path.name}
        result["reported_with_place"] += right_file and bool(place) and min(place) <= at
        code, _ = quietly(tfcap, repair)
        result["identical"] += code == 0 and bench.is_identical()
    got = min(result["reported_with_place"], result["identical"])
    return {"expected": count, "got": got, **result}


def full_disk(bench: Bench) -> dict:
    """Build on a file system that is too small, then make it larger and go on."""
    bench.fresh()
    bench.output.mkdir()
    size = sum(map(len, bench.expected.values()))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size * 6 // 10}", "tmpfs", str(bench.output)]
    if subprocess.run(mount, capture_output=True).returncode:
        return {"expected": 1, "got": 1, "skipped": "no permission to mount a small file system"}
    try:
        code, said = quietly(build_records, bench.arguments(bench.output))
        kept = len(list(bench.output.glob(".incomplete/receipt-*")))
        visible = [path for path in bench.output.iterdir() if path.name != ".incomplete"]
        remount = ["mount", "-o", f"remount,size={size * 3}", str(bench.output)]
        subprocess.run(remount, check=True)
        again, _ = quietly(build_records, bench.arguments(bench.output))
        fine = (code, again, visible) == (2, 0, []) and bench.is_identical()
        return {"expected": 1, "got": int(fine), "said": said, "kept_shards": kept}
    finally:
        subprocess.run(["umount", str(bench.output)], check=True)


def vanishing(bench: Bench) -> dict:
    """Delete pictures after the job was planned and before they are read; then retry."""
    bench.fresh()
    images = bench.scratch / "vanishing"
    shutil.copytree(bench.images, images)
    command = [sys.executable, "-m", "beam_jobs.build_records"]
    arguments = bench.arguments(bench.output, images=images)
    process = subprocess.Popen(
        [*command, *arguments], cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not list(bench.output.glob(".incomplete/*")) and process.poll() is None:
        time.sleep(0.001)
    gone = bench.random.sample(sorted(images.iterdir()), 10)
    for path in gone:
        path.unlink()
    code = process.wait()
    letters = dict(load_manifest(bench.output).dead_letters)
    for path in gone:
        shutil.copy(bench.images / path.name, path)
    again, _ = quietly(build_records, [*arguments, "--retry-failed"])
    fine = (code, again) == (0, 0) and bool(letters) and bench.is_identical()
    return {"expected": 1, "got": int(fine), "dead_letters": letters}


def mutated(chance: random.Random, content: bytes) -> bytes:
    """Return content with bytes flipped, cut out, doubled or cut off, or another's put in."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 3, 20))):
        at = chance.randrange(len(changed) or 1)
        end = at + chance.randrange(1, 200)
        kind = chance.randrange(5)
        if kind == 0 and changed:
            changed[at] = chance.randrange(256)
        elif kind == 1:
            del changed[at:end]
        elif kind == 2:
            changed[at:at] = changed[at:end]
        elif kind == 3:
            del changed[max(at, 1) :]
        else:
            changed[at:end] = chance.randbytes(end - at)
    return bytes(changed)


def mutated_pictures(bench: Bench, count: int) -> dict:
    """Build from mutated pictures: each ends in a record or in a dead letter."""
    images = bench.scratch / "mutated"
    images.mkdir()
    sources = sorted(bench.images.iterdir())
    lines = ["image,caption"]
    for number in range(count):
        content = bench.random.choice(sources).read_bytes()
        (images / f"{number}.jpg").write_bytes(mutated(bench.random, content))
        lines.append(f"{number}.jpg,A mutated picture")
    captions = bench.scratch / "mutated.csv"
    captions.write_text("\n".join(lines))
    bench.fresh()
    code, said = quietly(
        build_records, bench.arguments(bench.output, images=images, captions=captions)
    )
    manifest = load_manifest(bench.output)
    records = sum(manifest.records(split) for split in manifest.splits)
    fine = code == 0 and not verify_dataset(bench.output)
    accounted = records + manifest.rejected if fine else said
    letters = dict(manifest.dead_letters)
    assert set(letters) <= {reason.value for reason in Reason}
    return {"expected": count, "got": accounted, "records": records, "dead_letters": letters}


def mutated_captions(bench: Bench, count: int) -> dict:
    """Build from mutated captions files: exit code 0, or 2 and one line that names the file."""
    images = bench.scratch / "few"
    images.mkdir()
    rows = [line.split(",", 1) for line in bench.captions.read_text().splitlines()[1:31]]
    for key in {key for key, _ in rows}:
        shutil.copy(bench.images / key, images / key)
    captions = bench.scratch / "captions"
    result, reasons = Counter(), Counter()
    for number in tqdm(range(count), "captions files"):
        captions.write_bytes(mutated(bench.random, captions_file(rows, number)))
        bench.fresh()
        arguments = [*bench.source(images, captions), f"--output={bench.output}"]
        with contextlib.suppress(Exception):
            code, said = quietly(build_records, arguments)
            if code == 0:
                result["accepted"] += not verify_dataset(bench.output)
            elif code == 2 and said.startswith("build_records: error: "):
                result["refused"] += 1
                reasons[re.sub(r"\d+|'.*'|\".*\"|/\S+", "…", said)[22:80]] += 1
    got = result["accepted"] + result["refused"]
    return {"expected": count, "got": got, **result, "kinds_of_refusal": len(reasons)}


def captions_file(rows: list[list[str]], number: int) -> bytes:
    """Return the captions in one of six forms, by turns."""
    keys = sorted({key for key, _ in rows})
    of = {key: [caption for other, caption in rows if other == key] for key in keys}
    ids = {key: index for index, key in enumerate(keys)}
    karpathy = [{"filename": key, "sentences": [{"raw": text} for text in of[key]]} for key in keys]
    coco = {
        "images": [{"id": ids[key], "file_name": key} for key in keys],
        "annotations": [{"image_id": ids[key], "caption": text} for key, text in rows],
    }
    forms = (
        "\n".join(["image,caption", *(f'{key},"{text}"' for key, text in rows)]),
        "\n".join(f"{key}#{index}\t{text}" for index, (key, text) in enumerate(rows)),
        json.dumps({"images": karpathy, "dataset": "flickr8k"}),
        json.dumps(coco),
        "\n".join(["caption\timage", *(f"{text}\t{key}" for key, text in rows)]),
        "\n".join(json.dumps({"image": key, "captions": of[key]}) for key in keys),
    )
    return forms[number % len(forms)].encode()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True, help="emptied first")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--damages", type=int, default=1000)
    parser.add_argument("--mutants", type=int, default=500)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    bench = Bench(arguments.images, arguments.captions, arguments.scratch, arguments.seed)
    faults = {
        "kill -9": arguments.kills and (lambda: kills(bench, arguments.kills)),
        "damaged shards": arguments.damages and (lambda: damages(bench, arguments.damages)),
        "full disk": lambda: full_disk(bench),
        "vanishing pictures": lambda: vanishing(bench),
        "mutated pictures": arguments.mutants
        and (lambda: mutated_pictures(bench, arguments.mutants)),
        "mutated captions": arguments.mutants
        and (lambda: mutated_captions(bench, arguments.mutants)),
    }
    table = {}
    for name, fault in faults.items():
        if not fault:
            continue
        table[name] = fault()
        print(f"{name:20} {json.dumps(table[name])}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2) + "\n")
    return int(any(row["got"] != row["expected"] for row in table.values()))


if __name__ == "__main__":
    sys.exit(main())
