"""Others read the records: TensorFlow Datasets, and the lines of README.md."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from by_hand import make_manifest, write_shard
from PIL import Image

from records.example import PictureRecord
from records.manifest import (
    MANIFEST,
    SourceInfo,
    Statistics,
    load_manifest,
)
from records.shards import ShardName, shard_of
from records.tfds import tfds_files

README = Path(__file__).resolve().parents[2] / "README.md"
SPLITS = {"train": 5, "val": 1, "test": 2}  # shards; of those of "train", some are empty
PICTURES = {"train": 3, "val": 4, "test": 0}


def make_records(split, jpeg):
    for number in range(PICTURES[split]):
        raw = tuple(f"Caption {caption}." for caption in range(number))
        cleaned = tuple(f"caption {caption}" for caption in range(number))
        key = f"{split}{number}.jpg"
        encoded = jpeg(number, (64, 48 + number))
        yield PictureRecord(encoded, 48 + number, 64, key, key, "0" * 64, raw, cleaned)


@pytest.fixture(scope="module")
def records(jpeg):
    return {split: list(make_records(split, jpeg)) for split in SPLITS}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, records):
    """Several splits: with empty shards, of one shard, and without a record."""
    directory = tmp_path_factory.mktemp("home") / "records" / "flickr8k"
    directory.mkdir(parents=True)
    split_shards = {}
    for split, count in SPLITS.items():
        split_shards[split] = [
            write_shard(
                directory,
                ShardName("flickr8k", split, index, count),
                [record for record in records[split] if shard_of(record.filename, count) == index],
            )
            for index in range(count)
        ]
    manifest = make_manifest(
        split_shards,
        name="flickr8k",
        source=SourceInfo(7, 9, "0" * 64, 0),
        statistics=Statistics({}, 2.0, 2),
    )
    for file, text in {MANIFEST: manifest.to_json(), **tfds_files(manifest)}.items():
        (directory / file).write_text(text)
    return directory


@pytest.fixture
def builder(dataset):
    tfds = pytest.importorskip(
        "tensorflow_datasets", reason="reads the records too: pip install -e '.[dev]' brings it"
    )
    return tfds.builder_from_directory(dataset)


# A split without any record is in its list, but it refuses to read it.
@pytest.mark.parametrize("split", ["train", "val"])
def test_tensorflow_datasets_reads_every_feature_of_every_record(builder, records, split):
    read = {row["image/filename"].decode(): row for row in numpy_rows(builder.as_dataset(split))}
    assert set(read) == {record.filename for record in records[split]}
    assert builder.info.splits[split].num_examples == len(records[split])
    for record in records[split]:
        row = read[record.filename]
        pixels = np.asarray(Image.open(io.BytesIO(record.encoded)))
        # TensorFlow Datasets decodes with the faster DCT.
        np.testing.assert_allclose(row["image/encoded"].astype(int), pixels, atol=9)
        assert (row["image/height"], row["image/width"]) == (record.height, record.width)
        assert row["caption/raw"].tolist() == [text.encode() for text in record.raw_captions]
        assert row["caption/text"].tolist() == [text.encode() for text in record.captions]
        assert row["image/format"] == b"jpeg"
        assert row["image/source_id"] == record.source_id.encode()
        assert row["image/key/sha256"] == record.sha256.encode()


def test_tensorflow_datasets_slices_the_splits(builder):
    assert len(builder.as_dataset("val[1:3]")) == 2
    assert len(builder.as_dataset("train+val")) == 7


def numpy_rows(dataset):
    return list(dataset.as_numpy_iterator())


def readme_block() -> str:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (block,) = (block for block in blocks if "TFRecordDataset" in block)
    return block


def test_the_lines_of_the_readme_read_the_records(dataset, records, monkeypatch):
    monkeypatch.chdir(dataset.parents[1])
    names = {}
    exec(readme_block(), names)
    rows = numpy_rows(names["records"])
    assert len(rows) == load_manifest(dataset).records("train")
    assert {row["image/encoded"] for row in rows} == {record.encoded for record in records["train"]}


def test_the_lines_of_the_readme_read_no_unfinished_dataset(dataset, monkeypatch):
    monkeypatch.chdir(dataset.parents[1])
    manifest = (dataset / MANIFEST).rename(dataset / "elsewhere")
    try:
        with pytest.raises(FileNotFoundError, match=MANIFEST):
            exec(readme_block(), {})
    finally:
        manifest.rename(dataset / MANIFEST)
