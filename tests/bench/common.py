"""What the benchmarks of the records job share: a corpus, and running commands.

How they measure is in `tfcap.bench.measure`.
"""

import csv
import dataclasses
import itertools
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from tfcap.bench.measure import timed

ROOT = Path(__file__).resolve().parents[2]


def run_quietly(command: Sequence[str | Path], **options) -> None:
    """Run a command; where it fails, leave with the end of what it said."""
    done = subprocess.run(command, text=True, capture_output=True, check=False, **options)
    if done.returncode:
        said = (done.stderr or done.stdout)[-2000:]
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{said}")


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A directory that `build_records` can read: Images/, captions.txt and a training split.

    Attributes:
        directory: of all of it.
        pictures: number of pictures.
    """

    directory: Path
    pictures: int

    @property
    def images(self) -> Path:
        """The directory of the pictures."""
        return self.directory / "Images"

    @property
    def captions(self) -> Path:
        """The captions file, in Kaggle's form."""
        return self.directory / "captions.txt"

    def build_command(self, output: Path, workers: int) -> list[str]:
        """Return the command line that builds its records."""
        command = f"{sys.executable} -m beam_jobs.build_records --overwrite".split()
        command += ["--images", str(self.images), "--captions", str(self.captions)]
        command += ["--splits", str(self.directory), "--output", str(output)]
        return [*command, "--workers", str(workers)]

    def build(self, output: Path, workers: int) -> float:
        """Build its records; returns the seconds of the whole process.

        The output directory is new to the job, and gone afterwards.
        """
        command = self.build_command(output, workers)
        seconds = timed(lambda: run_quietly(command, cwd=ROOT))()
        manifest = json.loads((output / "manifest.json").read_text())
        if manifest["dead_letters"]:
            sys.exit(f"the job has rejected pictures or captions: {manifest['dead_letters']}")
        shutil.rmtree(output)
        return seconds


def read_captions(path: Path) -> dict[str, list[str]]:
    """Return the captions of each picture of a file in Kaggle's form."""
    captions = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            captions[row["image"]].append(row["caption"])
    return captions


def larger_pictures(data: Path, shorter_side: int) -> list[Path]:
    """Return the captioned pictures of a data directory whose shorter side is longer than that."""
    captions = read_captions(data / "captions.txt")
    found = []
    for path in sorted((data / "Images").iterdir()):
        with Image.open(path) as picture:
            if min(picture.size) > shorter_side and path.name in captions:
                found.append(path)
    return found


def make_corpus(data: Path, sources: Sequence[Path], count: int, directory: Path) -> Corpus:
    """Lay out a corpus of any size: the sources in turn, linked under new names.

    Args:
        data: directory with the captions.txt of the sources.
        sources: picture files.
        count: pictures wanted.
        directory: to make.
    """
    captions = read_captions(data / "captions.txt")
    corpus = Corpus(directory, count)
    corpus.images.mkdir(parents=True)
    names = []
    with corpus.captions.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "caption"])
        for number, source in zip(range(count), itertools.cycle(sources), strict=False):
            names.append(f"{number:06d}_{source.name}")
            (corpus.images / names[-1]).symlink_to(source.resolve())
            rows.writerows((names[-1], caption) for caption in captions[source.name])
    (directory / "Flickr_8k.trainImages.txt").write_text("".join(f"{name}\n" for name in names))
    return corpus
