"""LiteRT: its files, and the host loop of serving/loaders, which knows no other module of ours."""

import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small_decoders import SIZE, captioner_of, favour_end, make_decoder

from tfcap.cli.main import main
from tfcap.decoders import DECODERS
from tfcap.litert import Precision, write_litert
from tfcap.pictures import squash
from tfcap.signatures import build_signatures

PROGRAM = Path(__file__).resolve().parents[2] / "serving" / "loaders" / "litert" / "caption.py"


@pytest.fixture(scope="module")
def program():
    """The host loop as a module."""
    spec = importlib.util.spec_from_file_location("litert_caption", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", DECODERS)
def test_the_loop_says_what_the_signature_says(kind, tiny_encoder, program, jpeg, tmp_path):
    decoder = make_decoder(kind, tiny_encoder.output_shape[1:], SIZE, scale=0.5)
    favour_end(decoder, SIZE, by=0.5)
    captioner = captioner_of(decoder, tiny_encoder)
    write_litert(captioner, tmp_path)
    pictures = [jpeg(seed, size) for seed, size in enumerate([(64, 64), (150, 90), (31, 40)] * 3)]
    _, signatures = build_signatures(captioner, portable=True)
    expected = signatures["serving_default"](image_bytes=tf.constant(pictures))
    log_probs = expected["log_prob"].numpy()
    assert np.ptp(log_probs) > 0.01, "pictures must differ for this to test anything"
    for precision, tolerance in ((Precision.FLOAT32, 0.002), (Precision.FLOAT16, 0.05)):
        loop = program.Captioner(tmp_path / f"caption.{precision.value}.tflite")
        found = [loop.caption(loop.pixels(Image.open(io.BytesIO(row)))) for row in pictures]
        captions, sums = zip(*found, strict=True)
        np.testing.assert_allclose(sums, log_probs, atol=tolerance)
        if precision is Precision.FLOAT32:
            assert [caption.encode() for caption in captions] == expected[
                "caption"
            ].numpy().tolist()


@pytest.mark.parametrize("size", [(64, 64), (200, 120), (33, 500), (1, 7)])
def test_the_loop_resizes_as_the_graph_does(size, program, jpeg, captioner):
    loop = object.__new__(program.Captioner)
    loop.size = captioner.picture.size
    picture = Image.open(io.BytesIO(jpeg(1, size)))
    expected = squash(tf.constant(np.asarray(picture)), captioner.picture).numpy().astype(int)
    difference = np.abs(loop.pixels(picture)[0] - expected)
    # Sums in another order may fall on the other side of a half.
    assert difference.max() <= 1 and np.mean(difference > 0) < 0.001


def test_an_export_for_litert(small_run, jpeg, tmp_path, capsys):
    base = tmp_path / "base"
    assert main(["export", "--run", str(small_run), "--output", str(base), "--litert"]) == 0
    names = {path.name for path in (base / "1").iterdir()}
    models = {f"caption.{precision.value}.tflite" for precision in Precision}
    assert names == {*models, "vocab.txt", "litert.json", "assets.extra"}
    sizes = [(base / "1" / f"caption.{each.value}.tflite").stat().st_size for each in Precision]
    assert sizes[0] > 1.7 * sizes[1] > 1.7 * 1.4 * sizes[2]
    good, bad = tmp_path / "good.jpg", tmp_path / "bad.jpg"
    good.write_bytes(jpeg(1))
    bad.write_bytes(b"no picture")
    command = [sys.executable, PROGRAM, base / "1" / "caption.int8.tflite", good, bad]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stdout.startswith(f"{good}\t")
    assert f"{bad}: cannot be read" in done.stderr


@pytest.mark.parametrize("flags", [["--portable"], ["--beams", "3"], ["--warm-up", "1"]])
def test_what_litert_does_not_take_is_refused(small_run, tmp_path, capsys, flags):
    command = ["export", "--run", str(small_run), "--output", str(tmp_path / "base"), "--litert"]
    assert main([*command, *flags]) == 2
    assert "leave out --portable" in capsys.readouterr().err
