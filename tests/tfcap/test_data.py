"""The order of an epoch, reading by index, and what damage looks like."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from records.errors import UserError
from records.example import PictureRecord, encode_example
from records.index import encode_index
from records.pictures import PictureSpec
from records.shards import ShardName
from records.tfrecord import write_records
from records.vocabulary import build_vocabulary
from tfcap.data import Order, caption_batches, damage_named, read_records, reading
from tfcap.data.reading import BLOCK
from tfcap.text import CaptionIds


def write_shards(directory, shards):
    """Write lists of payloads as the shards of a split, with their indexes."""
    paths = []
    for number, payloads in enumerate(shards):
        name = ShardName("tiny", "train", number, len(shards))
        paths.append(directory / str(name))
        with paths[-1].open("wb") as file:
            written = write_records(file, payloads)
        (directory / name.index_file).write_bytes(encode_index(written.offsets))
    return paths


def read(shards, order=None):
    return [(int(at), payload.numpy()) for at, payload in read_records(shards, order)]


@pytest.fixture(scope="module")
def payloads():
    """More than a block of them, all different, of all sizes from nothing on."""
    return [bytes([number]) * number for number in range(BLOCK + 30)]


@pytest.fixture
def shards(tmp_path, payloads):
    """Four shards, the first and the third without a record."""
    return write_shards(tmp_path, [[], payloads[:40], [], payloads[40:]])


@given(st.integers(0, 2**70), st.integers(0, 10**6), st.integers(0, 200))
def test_an_order_is_a_permutation_that_follows_from_seed_and_epoch(seed, epoch, records):
    order = Order(seed, epoch).permutation(records)
    assert sorted(order.tolist()) == list(range(records))
    np.testing.assert_array_equal(Order(seed, epoch, skip=3).permutation(records), order)


def test_the_order_is_fixed_for_ever():
    # Were these numbers to change, interrupted runs would go on in another order.
    assert Order(1, 0).permutation(10).tolist() == [2, 0, 1, 4, 5, 6, 7, 8, 3, 9]
    assert Order(1, 1).permutation(10).tolist() == [7, 1, 6, 9, 3, 5, 0, 8, 2, 4]
    assert Order(2, 0).permutation(10).tolist() == [9, 6, 4, 8, 7, 0, 5, 2, 1, 3]


def test_all_orders_are_equally_likely():
    epochs = 2400
    seen = Counter(tuple(Order(7, epoch).permutation(4).tolist()) for epoch in range(epochs))
    assert len(seen) == 24
    # Five standard deviations of a binomial with n=2400, p=1/24.
    assert all(abs(count - epochs / 24) < 5 * 9.8 for count in seen.values())


@pytest.mark.parametrize("fields", [(-1, 0), (0, -1), (0, 0, -1)])
def test_an_order_with_negative_numbers_is_refused(fields):
    with pytest.raises(ValueError, match="-1"):
        Order(*fields)


def test_without_an_order_records_come_as_stored(shards, payloads):
    assert read(shards) == list(enumerate(payloads))


def test_an_epoch_reads_every_record_once_in_its_order(shards, payloads):
    order = Order(3, 5)
    numbers = order.permutation(len(payloads)).tolist()
    assert read(shards, order) == [(at, payloads[number]) for at, number in enumerate(numbers)]


@pytest.mark.parametrize("skip", [1, BLOCK - 1, BLOCK, BLOCK + 29, BLOCK + 30, 1000])
def test_what_is_skipped_is_not_read_and_changes_nothing(shards, monkeypatch, skip):
    whole, reads = read(shards, Order(3, 5)), []
    read_record = reading.read_record
    monkeypatch.setattr(reading, "read_record", lambda *at: reads.append(at) or read_record(*at))
    assert read(shards, Order(3, 5, skip=skip)) == whole[skip:]
    assert len(reads) == len(whole[skip:])


def test_shards_without_records_are_an_empty_epoch(tmp_path):
    assert read(write_shards(tmp_path, [[], []]), Order(0, 0)) == []


def test_no_file_stays_open(shards):
    def is_open():
        names = (str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists())
        return [name for name in names if "tiny-train" in name]

    iterator = iter(read_records(shards, Order(0, 0)))
    next(iterator)
    assert is_open() == []


def test_a_damaged_record_is_one_line_with_shard_record_and_byte(shards, payloads):
    content = bytearray(shards[1].read_bytes())
    start = sum(len(payload) + 16 for payload in payloads[:7])
    content[start + 14] ^= 1
    shards[1].write_bytes(content)
    batches = read_records(shards, Order(0, 0)).batch(4).prefetch(1)
    with pytest.raises(UserError) as raised, damage_named("data/tiny"):
        list(batches)
    place = f"{shards[1]}: record 7 at byte {start}: does not match its checksums"
    assert str(raised.value) == f"data/tiny is damaged ({place}): see `tfcap verify`"


def test_a_shard_that_goes_away_is_one_line_with_its_name(shards):
    batches = read_records(shards, Order(0, 0))
    shards[1].unlink()
    with pytest.raises(UserError) as raised, damage_named("data/tiny"):
        list(batches)
    place = rf"{shards[1]}: record \d+ at byte \d+: No such file or directory"
    whole = rf"data/tiny is damaged \({place}\): see `tfcap verify`"
    assert re.fullmatch(whole, str(raised.value))


def test_stored_order_names_damage_too(shards):
    shards[1].write_bytes(shards[1].read_bytes()[:-1])
    with pytest.raises(UserError) as raised, damage_named("data/tiny"):
        read(shards)
    assert re.fullmatch(
        r"data/tiny is damaged \(truncated record at \d+[^{}\n]*\): see `tfcap verify`",
        str(raised.value),
    )


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_an_order_without_its_index_is_refused(shards, change):
    change(shards[3].with_name(ShardName.parse(shards[3].name).index_file))
    with pytest.raises(UserError, match=r"tiny-train\.index-00003-of-00004"):
        read_records(shards, Order(0, 0))


def test_other_errors_are_not_taken_for_damage():
    with pytest.raises(tf.errors.UnknownError), damage_named("data/tiny"):
        raise tf.errors.UnknownError(None, None, "a bug")


def test_a_resumed_epoch_has_the_same_batches(tmp_path, jpeg):
    """Flips included: they follow from the position in the epoch."""
    texts = ("a dog runs", "a dog")
    records = [
        PictureRecord(jpeg(number), 64, 64, f"{number}.jpg", "", "", texts, texts)
        for number in range(12)
    ]
    payloads = [encode_example(record) for record in records]
    paths = write_shards(tmp_path, [payloads[:5], payloads[5:]])
    ids = CaptionIds(build_vocabulary({"a": 9, "dog": 9, "runs": 9}, 1))

    def batches(skip):
        order = Order(1, 2, skip=skip, flip=True)
        return list(caption_batches(paths, PictureSpec(size=64), ids, 5, 4, order))

    whole, rest = batches(0), batches(8)
    assert {key for batch in whole for key in batch["key"].numpy()} == {
        record.filename.encode() for record in records
    }
    assert len(rest) == 1
    for name, values in rest[0].items():
        np.testing.assert_array_equal(values, whole[2][name])
