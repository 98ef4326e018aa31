"""Files that let TensorFlow Datasets read a dataset directory as one of its own.

    tfds.builder_from_directory("records/flickr8k").as_dataset("train")

Their form is that of TensorFlow Datasets' `DatasetInfo` and `Feature` protocol buffers in JSON:
https://www.tensorflow.org/datasets/external_tfrecord.
"""

import json

from records.manifest import SCHEMA_VERSION, Manifest, SplitInfo

TFDS_FILES = ("dataset_info.json", "features.json")

_PACKAGE = "tensorflow_datasets.core.features"
_TEXT = {"pythonClassName": f"{_PACKAGE}.text_feature.Text", "text": {}}
_TEXTS = {
    "pythonClassName": f"{_PACKAGE}.sequence_feature.Sequence",
    "sequence": {"feature": _TEXT, "length": "-1"},
}
_NUMBER = {
    "pythonClassName": f"{_PACKAGE}.scalar.Scalar",
    "tensor": {"dtype": "int64", "encoding": "none", "shape": {}},
}
_JPEG = {
    "pythonClassName": f"{_PACKAGE}.image_feature.Image",
    "image": {
        "dtype": "uint8",
        "encodingFormat": "jpeg",
        "shape": {"dimensions": ["-1", "-1", "3"]},
    },
}


def tfds_files(manifest: Manifest) -> dict[str, str]:
    """Return the text of each of `TFDS_FILES`; it follows from the manifest alone."""
    texts = (_dataset_info(manifest), _features())
    return {
        file: json.dumps(fields, indent=2) + "\n"
        for file, fields in zip(TFDS_FILES, texts, strict=True)
    }


def _dataset_info(manifest: Manifest) -> dict:
    """Return the splits and the lengths of their shards."""
    return {
        "name": manifest.name,
        "version": f"{SCHEMA_VERSION}.0.0",
        "description": f"Captioned pictures, fingerprint {manifest.fingerprint}.",
        "fileFormat": "tfrecord",
        "splits": [_split(split, manifest.split(split)) for split in manifest.splits],
    }


def _split(name: str, info: SplitInfo) -> dict:
    # Protocol buffers write 64-bit numbers as strings in JSON.
    return {
        "name": name,
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        "numBytes": str(sum(shard.bytes for shard in info.shards)),
        "shardLengths": [str(shard.records) for shard in info.shards],
    }


def _features() -> dict:
    """Return the features of a record, by the flat names that they have in it."""
    return {
        "pythonClassName": f"{_PACKAGE}.features_dict.FeaturesDict",
        "featuresDict": {
            "features": {
                "caption/raw": _TEXTS,
                "caption/text": _TEXTS,
                "image/encoded": _JPEG,
                "image/filename": _TEXT,
                "image/format": _TEXT,
                "image/height": _NUMBER,
                "image/key/sha256": _TEXT,
                "image/source_id": _TEXT,
                "image/width": _NUMBER,
            }
        },
    }
