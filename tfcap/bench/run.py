"""One benchmark by name: what it needs is built from a dataset and an encoder."""

import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from tfcap.bench.data import bench_data, decoded_pixels
from tfcap.bench.decode import bench_decode
from tfcap.bench.encoder import bench_encoder
from tfcap.bench.measure import Figures
from tfcap.bench.program import Program
from tfcap.bench.sample import Sample, load_sample
from tfcap.bench.train import bench_train
from tfcap.captioner import build_captioner
from tfcap.config import ModelSpec
from tfcap.data import damage_named
from tfcap.decoders.lstm_attention import LSTMAttentionSpec
from tfcap.encoders.inference import inference_encoder

ENCODED = 64  # pictures in a measurement of `encoder` and `decode`


def run_benchmark(
    what: str,
    dataset: Path,
    encoder: str,
    encoder_weights: str,
    *,
    batch_size: int,
    pictures: int,
    rounds: int,
) -> Figures:
    """Run a benchmark.

    Args:
        what: "data", "encoder", "train" or "decode".
        dataset: directory of the records.
        encoder: a key of `tfcap.encoders.ENCODERS`.
        encoder_weights: "imagenet", "none" or a path.
        batch_size: pictures in a batch of `data` and `train`.
        pictures: of the training split that are used, at most; `train` takes whole shards,
            `encoder` and `decode` no more than `ENCODED`.
        rounds: measurements of each stage.

    Raises:
        UserError: dataset, encoder or weights are missing, or a record is damaged.
    """
    sample = load_sample(dataset, pictures)
    model = ModelSpec(encoder, encoder_weights, LSTMAttentionSpec())
    with damage_named(dataset):
        if what == "train":
            figures = _bench_train(sample, model, batch_size, rounds)
        else:
            figures = _bench_captioner(what, sample, model, batch_size, rounds)
    setting = {
        "dataset": sample.manifest.fingerprint,
        "encoder": encoder,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "gpus": len(tf.config.list_logical_devices("GPU")),
    }
    return figures._replace(setting=setting | dict(figures.setting))


def _bench_train(sample: Sample, model: ModelSpec, batch_size: int, rounds: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="tfcap-bench-") as cache:
        program = Program(
            sample.directory, sample.manifest, model, batch_size, sample.pictures, Path(cache)
        )
        return bench_train(program, batch_size, rounds, sample.captions / sample.pictures)


def _bench_captioner(
    what: str, sample: Sample, model: ModelSpec, batch_size: int, rounds: int
) -> Figures:
    manifest = sample.manifest
    captioner = build_captioner(model, manifest.picture, manifest.caption, sample.vocabulary)
    encode = inference_encoder(captioner.encoder)
    if what == "data":
        return bench_data(sample, encode, batch_size, rounds)
    pixels = decoded_pixels(sample, ENCODED)
    if what == "encoder":
        return bench_encoder(captioner.encoder, encode, pixels, rounds)
    return bench_decode(captioner, encode, pixels, rounds)
