"""Several devices, and several hosts, train as one does."""

import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tiny

from records.errors import UserError
from records.vocabulary import PAD_ID
from tfcap import runs
from tfcap.training.devices import Hosts, choose_strategy, share_of

REPOSITORY = Path(__file__).resolve().parents[3]
FLAGS = (
    *("--dropout", "0", "--embedding-dropout", "0", "--average", "0.5"),
    *("--epochs", "1", "--fine-tune-epochs", "1", "--fine-tune-rate", "0.01"),
)
TWO_CPUS = """
import tensorflow as tf
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""
TRAIN = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import tiny
sys.exit(tiny.train(*sys.argv[1:]))
"""


def start(program, *arguments, **environment):
    """Start Python on a program that trains."""
    return subprocess.Popen(
        [sys.executable, "-c", program, str(Path(tiny.__file__).parent), *map(str, arguments)],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "", "TF_CPP_MIN_LOG_LEVEL": "2", **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_hosts(count, *arguments):
    """Start hosts that train together."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    workers = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    tasks = [{"type": "worker", "index": index} for index in range(count)]
    configs = [json.dumps({"cluster": {"worker": workers}, "task": task}) for task in tasks]
    return [start(TRAIN, *arguments, TF_CONFIG=config) for config in configs]


def finish(processes):
    """Wait for processes; returns the exit code and the last words of each."""
    try:
        # All at once: one that nobody listens to stops when its pipe is full, and then so do all.
        with ThreadPoolExecutor(len(processes)) as pool:
            said = list(pool.map(lambda each: each.communicate(timeout=240)[1], processes))
        return [(words, each.returncode) for words, each in zip(said, processes, strict=True)]
    finally:
        for process in processes:
            process.kill()


def assert_equal_figures(one, other):
    for alone, together in zip(runs.read_history(one), runs.read_history(other), strict=True):
        assert together == pytest.approx(alone, rel=1e-5)


def test_two_devices_have_the_losses_of_one(dataset, tmp_path):
    # 12 pictures: batches of 5, 5 and 2, which do not divide by two devices.
    flags = [*FLAGS, "--batch-size", "5"]
    assert tiny.train(dataset, tmp_path / "one", *flags) == 0
    two = start(TWO_CPUS + TRAIN, dataset, tmp_path / "two", *flags, "--devices", "2")
    ((said, code),) = finish([two])
    assert code == 0, said[-2000:]
    assert_equal_figures(tmp_path / "one", tmp_path / "two")


def test_two_hosts_have_the_losses_of_one(dataset, tmp_path):
    # Batches of 10 and 2; features for an epoch, then pixels for one of fine-tuning.
    flags = [*FLAGS, "--batch-size", "10", "--epochs", "2", "--encoder-on", "cache"]
    assert tiny.train(dataset, tmp_path / "one", *flags) == 0
    features = ["--feature-cache", tmp_path / "features"]
    for said, code in finish(start_hosts(2, dataset, tmp_path / "two", *flags, *features)):
        assert code == 0, said[-2000:]
    assert_equal_figures(tmp_path / "one", tmp_path / "two")


def test_a_host_that_goes_stops_the_others_in_one_line(dataset, tmp_path):
    flags = [*FLAGS, "--batch-size", "10", "--epochs", "1000", "--patience", "1000"]
    run = tmp_path / "run"
    hosts = start_hosts(2, dataset, run, *flags)
    try:
        deadline = time.monotonic() + 120
        while not (run / runs.METRICS).exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        hosts[1].kill()
    finally:
        (said, code), _ = finish(hosts)
    assert code == 2
    assert "another host has gone: start all of them again" in said.splitlines()[-1]


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ("{", "TF_CONFIG='{'"),
        ('{"cluster": {"worker": ["a:1"]}}', "'task'"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "not in list"),
    ],
)
def test_a_cluster_that_makes_no_sense_is_refused(monkeypatch, config, named):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(UserError, match=named):
        Hosts.here()


def test_the_chief_is_the_first_host(monkeypatch):
    cluster = {"worker": ["b:1", "c:1"], "chief": ["a:1"]}
    places = [("chief", 0), ("worker", 0), ("worker", 1)]
    for host, (kind, index) in enumerate(places):
        content = {"cluster": cluster, "task": {"type": kind, "index": index}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(content))
        assert Hosts.here() == Hosts(host, 3)
        assert Hosts.here().chief == (host == 0)


@pytest.mark.parametrize(
    ("records", "batch_size", "refused"),
    [(12, 10, None), (12, 9, "batches of 9"), (21, 10, "a batch of 1"), (20, 10, None)],
)
def test_hosts_need_a_record_each_in_every_batch(records, batch_size, refused):
    hosts = Hosts(0, 2)
    if refused is None:
        return hosts.check_batches(records, batch_size)
    with pytest.raises(UserError, match=refused):
        hosts.check_batches(records, batch_size)


def test_several_hosts_bring_all_their_devices():
    with pytest.raises(UserError, match="--devices 1: each host brings all"):
        choose_strategy(1, Hosts(0, 2))


@pytest.mark.parametrize(("rows", "replicas"), [(5, 2), (4, 2), (1, 3), (7, 3), (6, 1)])
def test_replicas_share_out_every_row_once(rows, replicas):
    pictures = tf.reshape(tf.range(rows), [rows, 1])
    words = tf.ones([rows, 2, 3], tf.int32) * (PAD_ID + 4)
    seen = []
    for replica in range(replicas):
        mine, inputs, targets = share_of((pictures, words, words), replica, replicas)
        assert len(mine) == len(inputs) == len(targets) == -(-rows // replicas)
        counts = np.any(targets != PAD_ID, axis=(1, 2))
        seen += mine.numpy()[counts, 0].tolist()
    assert seen == list(range(rows))


def test_more_devices_than_there_are_is_refused():
    with pytest.raises(UserError, match="--devices 99: only"):
        choose_strategy(99)
