"""Several devices train as one does."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tiny

from records.errors import UserError
from records.vocabulary import PAD_ID
from tfcap import runs
from tfcap.training.devices import choose_strategy, share_of

REPOSITORY = Path(__file__).resolve().parents[3]
# 12 pictures: batches of 5, 5 and 2, which do not divide by two devices.
FLAGS = (
    *("--dropout", "0", "--embedding-dropout", "0", "--batch-size", "5", "--average", "0.5"),
    *("--epochs", "1", "--fine-tune-epochs", "1", "--fine-tune-rate", "0.01"),
)
TWO_CPUS = """
import sys, tensorflow as tf
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, sys.argv.pop(1))
import tiny
sys.exit(tiny.train(*sys.argv[1:]))
"""


def test_two_devices_have_the_losses_of_one(dataset, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert tiny.train(dataset, one, *FLAGS) == 0
    places = map(str, (Path(tiny.__file__).parent, dataset, two))
    done = subprocess.run(
        [sys.executable, "-c", TWO_CPUS, *places, *FLAGS, "--devices", "2"],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "", "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures = [json.loads((run / runs.METRICS).read_text())["epochs"] for run in (one, two)]
    for alone, together in zip(*figures, strict=True):
        assert together == pytest.approx(alone, rel=1e-5)


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
