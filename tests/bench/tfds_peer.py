"""The same pictures through a TFDS builder with its Beam writer; runs in the peers' environment.

Each picture is normalised by the plain loop's function inside a Beam step; TFDS stores the JPEG
bytes as they are, with the captions, in as many TFRecord shards as it likes.

Example:
  python tests/bench/tfds_peer.py CORPUS OUTPUT 2

The last number is the number of Beam's worker processes.
"""

import csv
import io
import sys
from collections import defaultdict
from pathlib import Path

import apache_beam as beam
import tensorflow_datasets as tfds
from apache_beam.options.pipeline_options import PipelineOptions
from plain_loop import normalise


class Captioned(tfds.core.GeneratorBasedBuilder):
    """Pictures with their captions, from a corpus directory."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, corpus: str, **options):
        self.corpus = Path(corpus)
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "filename": tfds.features.Text(),
            "captions": tfds.features.Sequence(tfds.features.Text()),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        del dl_manager  # nothing to download
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        captions = defaultdict(list)
        with (self.corpus / "captions.txt").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                captions[row["image"]].append(row["caption"])
        rows = [(str(self.corpus / "Images" / name), captions[name]) for name in captions]
        return beam.Create(rows) | beam.Map(make_example)


def make_example(row: tuple[str, list[str]]) -> tuple[str, dict]:
    """Return the key and the features of a picture."""
    path, captions = Path(row[0]), row[1]
    image = io.BytesIO(normalise(path))
    return path.name, {"image": image, "filename": path.name, "captions": captions}


def main(corpus: Path, output: Path, workers: int) -> None:
    options = [f"--direct_num_workers={workers}"]
    if workers > 1:
        options.append("--direct_running_mode=multi_processing")
    builder = Captioned(corpus=str(corpus), data_dir=output)
    config = tfds.download.DownloadConfig(
        beam_options=PipelineOptions(options), compute_stats=tfds.download.ComputeStatsMode.SKIP
    )
    builder.download_and_prepare(download_config=config)
    print(builder.info.splits["train"].num_examples)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
