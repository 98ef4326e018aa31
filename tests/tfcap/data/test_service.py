"""A real dispatcher and real workers, each in a process of its own."""

import contextlib
import subprocess
import sys

import numpy as np
import pytest

from records.example import PictureRecord, encode_example
from records.pictures import PictureSpec
from records.vocabulary import build_vocabulary
from tfcap.augment import AugmentSpec
from tfcap.data import Order, caption_batches
from tfcap.data.service import distributed
from tfcap.text import CaptionIds

PICTURES, BATCH = 22, 4
DISPATCHER = """
from tfcap.data.service import start_dispatcher
server = start_dispatcher()
print(server.target.partition("://")[2], flush=True)
input()
"""
WORKER = """
import sys
from tfcap.data.service import start_worker
server = start_worker(sys.argv[1])
print("ready", flush=True)
input()
"""


@contextlib.contextmanager
def running(program, *arguments):
    """Run a program until the end of the block; gives the first line that it prints."""
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextlib.contextmanager
def service(workers):
    """Run a service; gives the address of its dispatcher."""
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(running(DISPATCHER))
        for _ in range(workers):
            assert stack.enter_context(running(WORKER, address)) == "ready"
        yield address


@pytest.fixture
def make(tmp_path, jpeg, write_shards):
    """A function of an order that returns batches that other processes can make."""
    records = [
        encode_example(PictureRecord(jpeg(i), 64, 64, f"{i}.jpg", "", "", ("a dog",), ("a dog",)))
        for i in range(PICTURES)
    ]
    shards = write_shards(tmp_path, [records[:9], records[9:]])
    ids = CaptionIds(build_vocabulary({"a": 9, "dog": 9}, 1))
    spec = AugmentSpec(flip=True, crop=0.2)

    def batches(order):
        return caption_batches(
            shards, PictureSpec(size=32), ids, 5, BATCH, order, spec, in_graph=True
        )

    return batches


def test_one_worker_gives_the_batches_of_the_epoch_in_its_order(make):
    with service(workers=1) as address:
        for epoch in (0, 1):
            order = Order(1, epoch, skip=BATCH)
            found = list(distributed(make(order), address, f"epoch {epoch}"))
            for batch, expected in zip(found, make(order), strict=True):
                for name, values in expected.items():
                    np.testing.assert_array_equal(batch[name], values)


def test_several_workers_give_every_record_once(make):
    order = Order(1, 0)
    with service(workers=2) as address:
        found = list(distributed(make(order), address, "epoch"))
    expected = pictures_by_key(make(order))
    assert sum(len(batch["key"]) for batch in found) == len(expected) == PICTURES
    assert pictures_by_key(found) == expected


def pictures_by_key(batches):
    return {
        key: image.tobytes()
        for batch in batches
        for key, image in zip(batch["key"].numpy(), batch["image"].numpy(), strict=True)
    }
