"""Mutated pictures through an exported model; exit code 1 unless their neighbours are left alone.

    python tests/soak/mutants.py --model EXPORT --images DIR [--mutants 2000] [--json FILE]

Every batch of 32 holds pictures that are whole and pictures with flipped, cut, doubled or foreign
bytes, in random places, of all formats that an export takes. A whole picture must have no error,
and the caption that it has among whole pictures alone; where two captions are as likely to the last
digits, which depend on what else is in a batch, the other one may win: such are counted apart.
A mutant is captioned or has an error. Memory is the peak of the process before and after.
"""

import argparse
import collections
import io
import json
import random
import resource
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from faults import mutated
from PIL import Image
from tqdm import tqdm

from tfcap.bench.measure import jpegs, readable
from tfcap.export import find_export, load_export

BATCH = 32
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
CLOSE = 0.01  # of two log probabilities of one picture


def pictures_of(images: Path) -> list[bytes]:
    """Return the pictures of a directory, each fifth one in another format."""
    found = []
    for number, path in enumerate(jpegs(images)):
        form, file = FORMATS[number % len(FORMATS)], io.BytesIO()
        if form == "JPEG":
            found.append(path.read_bytes())
            continue
        with Image.open(path) as picture:
            picture.save(file, form)
        found.append(file.getvalue())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--model", type=readable(find_export), required=True, metavar="EXPORT")
    add("--images", type=readable(jpegs), required=True, metavar="DIR")
    add("--mutants", type=int, default=2000, metavar="N")
    add("--seed", type=int, default=1)
    add("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    signature = load_export(arguments.model).signatures["serving_default"]
    pictures, chance = pictures_of(arguments.images), random.Random(arguments.seed)

    def captions_of(rows: list[bytes]) -> list[tuple[bytes, float, bytes]]:
        found = signature(image_bytes=tf.constant(rows))
        columns = (found[name].numpy().tolist() for name in ("caption", "log_prob", "error"))
        return list(zip(*columns, strict=True))

    batches = [pictures[at : at + BATCH] for at in range(0, len(pictures), BATCH)]
    alone = [row for batch in batches for row in captions_of(batch)]
    counts = collections.Counter(dict.fromkeys(("harmed", "as likely"), 0))
    before = peak_mb()
    left = arguments.mutants
    with tqdm(total=left, unit=" mutants") as bar:
        while left:
            mutants = {place for place in range(BATCH) if chance.random() < 0.5}
            mutants = set(sorted(mutants)[:left])
            chosen = [chance.randrange(len(pictures)) for _ in range(BATCH)]
            rows = [pictures[each] for each in chosen]
            for place in mutants:
                rows[place] = mutated(chance, rows[place])
            for place, (caption, log_prob, error) in enumerate(captions_of(rows)):
                if place in mutants:
                    counts["mutants refused" if error else "mutants captioned"] += 1
                    continue
                expected, likelihood, _ = alone[chosen[place]]
                same = caption == expected and not error
                close = not error and np.isclose(log_prob, likelihood, atol=CLOSE)
                counts["whole" if same else "as likely" if close else "harmed"] += 1
            left -= len(mutants)
            bar.update(len(mutants))
    found = {**counts, "peak MB before": before, "peak MB after": peak_mb()}
    print(json.dumps(found, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(1 if counts["harmed"] else 0)


def peak_mb() -> float:
    """Return the peak resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
