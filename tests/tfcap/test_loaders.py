"""The loader programs in C++, Go and Python with a portable export; C is in test_export.py."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from tfcap.signatures import build_signatures

LOADERS = Path(__file__).resolve().parents[2] / "serving" / "loaders"
# What a user of the Python program does without.
BLOCKED = (
    "import runpy, sys; sys.modules.update(tensorflow_text=None, tfcap=None, keras=None); "
    "del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.fixture(scope="module")
def export(captioner, tmp_path_factory) -> Path:
    """A portable export, as far as the programs use it."""
    path = tmp_path_factory.mktemp("export") / "1"
    module, signatures = build_signatures(captioner, portable=True)
    tf.saved_model.save(module, str(path), {"serving_default": signatures["serving_default"]})
    return path


def save_as_default(path: Path, function) -> Path:
    spec = tf.TensorSpec([None], tf.string, name="image_bytes")
    signature = tf.function(function, input_signature=[spec])
    tf.saved_model.save(tf.Module(), str(path), {"serving_default": signature})
    return path


@pytest.fixture(scope="module")
def unusable(tmp_path_factory) -> dict[str, tuple[Path, str]]:
    """Exports that no program can use, and what it has to say of each."""
    import tensorflow_text

    directory = tmp_path_factory.mktemp("unusable")

    def words(image_bytes):
        tokens = tensorflow_text.WhitespaceTokenizer().tokenize(image_bytes).flat_values
        return {"caption": tokens, "error": tokens}

    return {
        "absent": (directory / "absent", "absent"),
        "text ops": (save_as_default(directory / "text", words), "WhitespaceTokenize"),
        "no captioner": (
            save_as_default(directory / "foreign", lambda image_bytes: {"other": image_bytes}),
            "signature",
        ),
    }


@pytest.fixture(scope="module", params=["cpp", "go", "python"])
def program(request, tmp_path_factory) -> list[str]:
    """The command of a program, built where it has to be."""
    if request.param == "python":
        return [sys.executable, "-c", BLOCKED, str(LOADERS / "python" / "caption.py")]
    compiler = {"cpp": "g++", "go": "go"}[request.param]
    for tool in (compiler, "make"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    build = tmp_path_factory.mktemp("build") / request.param
    shutil.copytree(LOADERS / request.param, build)
    # Warnings are errors; -O0 compiles in half the time.
    options = [f"PYTHON={sys.executable}", "CXXFLAGS=-O0 -Wall -Wextra -Werror"]
    subprocess.run(["make", "-s", *options], cwd=build, check=True)
    return [str(build / "caption")]


def run(program: list[str], *arguments) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [*program, *arguments], capture_output=True, text=True, env=environment, cwd="/"
    )


def test_captions_each_picture(program, export, jpeg, tmp_path):
    paths = [tmp_path / f"{seed}.jpg" for seed in range(6)]
    for seed, path in enumerate(paths):
        path.write_bytes(jpeg(seed, (90, 70)))
    broken, absent = tmp_path / "broken.jpg", tmp_path / "absent.jpg"
    broken.write_bytes(b"no picture")
    done = run(program, export, *paths[:2], broken, absent, *paths[2:])
    captioner = tf.saved_model.load(str(export)).signatures["serving_default"]
    found = captioner(image_bytes=tf.constant([path.read_bytes() for path in paths]))
    captions = [caption.decode() for caption in found["caption"].numpy()]
    assert len(set(captions)) > 1
    expected = [f"{path}\t{caption}" for path, caption in zip(paths, captions, strict=True)]
    assert done.stdout.splitlines() == expected, done.stderr
    assert f"caption: {broken}: image_bytes cannot be decoded" in done.stderr
    assert f"caption: {absent} cannot be read" in done.stderr
    assert done.returncode == 1


def test_what_it_cannot_use_is_said_in_one_line_with_code_2(program, unusable, jpeg, tmp_path):
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(jpeg(0))
    for path, said in unusable.values():
        done = run(program, path, picture)
        assert done.returncode == 2 and done.stdout == "", done.stderr
        last = done.stderr.splitlines()[-1]  # TensorFlow's own log goes before it
        # The C++ API does not miss an op before it is run, so it is missed by the picture there.
        assert last.startswith((f"caption: {path}: ", f"caption: {picture}: ")) and said in last
    assert run(program, tmp_path).returncode == 2
