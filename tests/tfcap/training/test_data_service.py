"""`tfcap train --data-service` with a real `tfcap serve-data`."""

import contextlib
import shutil
import subprocess
import sys

import pytest
import tiny

from tfcap import runs

FLAGS = ("--crop", "0.3", "--encoder-on", "pipeline")


@contextlib.contextmanager
def serving(*flags):
    """Run `tfcap serve-data`; gives its address."""
    command = [sys.executable, "-m", "tfcap.cli.main", "serve-data", *flags]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process.stdout.readline().split()[3].rstrip(";")
        finally:
            process.kill()


def test_training_is_the_same_with_a_service(dataset, tmp_path, capsys):
    assert tiny.train(dataset, tmp_path / "without", *FLAGS) == 0
    damaged = tmp_path / "damaged"
    shutil.copytree(dataset, damaged)
    shard = max(damaged.glob("*-train.tfrecord-*"), key=lambda path: path.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[200] ^= 1
    shard.write_bytes(content)
    with serving() as address:
        flags = [*FLAGS, "--data-service", address]
        assert tiny.train(dataset, tmp_path / "with", *flags) == 0
        assert tiny.train(damaged, tmp_path / "stopped", *flags) == 2
    found, expected = (runs.read_history(tmp_path / name) for name in ("with", "without"))
    assert found == expected
    assert f"{shard.name}: record 0 at byte 0" in capsys.readouterr().err.splitlines()[-1]


def test_a_worker_joins_a_dispatcher():
    with serving() as address, serving("--dispatcher", address) as joined:
        assert joined == address


@pytest.mark.parametrize("address", ["localhost:1", "localhost", "localhost:99999", ":"])
def test_a_service_that_does_not_answer_is_named(dataset, tmp_path, capsys, address):
    assert tiny.train(dataset, tmp_path / "run", "--data-service", address) == 2
    assert f"no tf.data service at {address!r}" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--port", "70000"], "--port 70000"),
        (["--port", "5", "--dispatcher", "localhost:1"], "leave out"),
        (["--dispatcher", "localhost:1"], "no tf.data service at 'localhost:1'"),
    ],
)
def test_what_cannot_be_served_is_said(capsys, flags, said):
    assert tiny.main(["serve-data", *flags]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_port_that_is_taken_is_said(capsys):
    with serving() as address:
        assert tiny.main(["serve-data", "--port", address.rpartition(":")[2]]) == 2
    assert "cannot be had" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--skip-corrupt"], "skip_corrupt"),
        (["--encoder-on", "cache"], "--data-service is of records"),
    ],
)
def test_a_service_and_what_goes_not_with_it(dataset, tmp_path, capsys, monkeypatch, flags, said):
    monkeypatch.setattr("tfcap.training.program.check_service", lambda address: None)
    assert tiny.train(dataset, tmp_path / "run", "--data-service", "localhost:1", *flags) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
