"""The Node.js example against a served model."""

import shutil
import subprocess
from pathlib import Path

import pytest
import tensorflow as tf

PROGRAM = Path(__file__).resolve().parents[2] / "serving" / "clients" / "node" / "caption.mjs"

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")


def run(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(["node", PROGRAM, *arguments], capture_output=True, text=True)


def test_captions_each_picture(serving_endpoint, pictures, tmp_path):
    """More pictures than go into one request; broken and absent ones are said in one line each."""
    paths = [tmp_path / f"{row}.jpg" for row in range(40)]
    for row, path in enumerate(paths):
        path.write_bytes(pictures[row % len(pictures)] + bytes(row))
    broken, absent = tmp_path / "broken.jpg", tmp_path / "absent.jpg"
    broken.write_bytes(b"no picture")
    done = run(serving_endpoint.rest, *paths[:3], broken, absent, *paths[3:])
    captioner = tf.saved_model.load(str(serving_endpoint.export)).signatures["serving_default"]
    found = captioner(image_bytes=tf.constant([path.read_bytes() for path in paths]))
    captions = [caption.decode() for caption in found["caption"].numpy()]
    expected = [f"{path}\t{caption}" for path, caption in zip(paths, captions, strict=True)]
    assert done.stdout.splitlines() == expected
    assert sorted(done.stderr.splitlines()) == [
        f"caption: {absent} cannot be read",
        f"caption: {broken}: image_bytes cannot be decoded: give a whole JPEG",
    ]
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("url", "said"), [("http://127.0.0.1:9", "ECONNREFUSED|bad port"), ("nowhere", "Invalid URL")]
)
def test_no_server_is_one_line_and_code_2(tmp_path, url, said):
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(b"x")
    done = run(url, picture)
    assert done.returncode == 2 and done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith(f"caption: {url}: ") and any(one in line for one in said.split("|"))
