"""Reading by index, in every order, and what damage looks like."""

import dataclasses
import gc
import itertools
import re
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from records.errors import UserError
from records.shards import ShardName
from tfcap.data import Corrupt, Order, Passes, damage_named, read_records, reading

SHUFFLE, STREAM = Order(3, 5), Order(3, 5, window=48)  # blocks of three
EVERY_ORDER = pytest.mark.parametrize("order", [SHUFFLE, STREAM], ids=["shuffle", "stream"])


def read(shards, *args, **kwargs):
    return [(int(at), payload.numpy()) for at, payload in read_records(shards, *args, **kwargs)]


@pytest.fixture(scope="module")
def payloads():
    """All different, of many sizes."""
    return [bytes([number]) * (1 + 3 * number) for number in range(120)]


@pytest.fixture
def shards(tmp_path, payloads, write_shards):
    """Four shards, the first and the third without a record."""
    return write_shards(tmp_path, [[], payloads[:50], [], payloads[50:]])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks in a hundred records."""
    monkeypatch.setattr(reading, "BLOCK_RECORDS", 32)


@pytest.fixture
def reads(monkeypatch):
    """The (start, end) of what is read, as it is read."""
    done, read_range = [], reading.read_range
    monkeypatch.setattr(
        reading, "read_range", lambda file, *at: done.append(at) or read_range(file, *at)
    )
    return done


def expected(order, payloads):
    """Return what the first and the last shard give in an order."""
    numbers = order.permutation([0, 50, 0, 70]).tolist()
    return [(at, payloads[number]) for at, number in enumerate(numbers)]


def flip_bit(shard, record, payloads):
    """Damage the payload of a record; returns the offset of the record."""
    content = bytearray(shard.read_bytes())
    start = sum(len(payload) + 16 for payload in payloads[:record])
    content[start + 12] ^= 1
    shard.write_bytes(content)
    return start


def test_without_an_order_records_come_as_stored(shards, payloads):
    assert read(shards) == list(enumerate(payloads))
    assert read(shards, corrupt=Corrupt()) == list(enumerate(payloads))


@pytest.mark.parametrize("in_graph", [False, True], ids=["python", "graph"])
@EVERY_ORDER
def test_an_epoch_reads_every_record_once_in_its_order(shards, payloads, order, in_graph):
    assert read(shards, order, in_graph=in_graph) == expected(order, payloads)


@pytest.mark.parametrize("skip", [1, 31, 32, 33, 48, 119, 120, 1000])
@EVERY_ORDER
def test_what_is_skipped_changes_nothing(shards, payloads, order, skip, reads):
    rest = read(shards, dataclasses.replace(order, skip=skip))
    assert rest == expected(order, payloads)[skip:]
    assert order.window or len(reads) <= len(rest)


@EVERY_ORDER
def test_hosts_read_disjoint_records_at_their_positions(shards, payloads, order):
    whole = expected(order, payloads)
    orders = [dataclasses.replace(order, skip=16, host=host, hosts=3) for host in range(3)]
    parts = [read(shards, each, batch_size=12) for each in orders]
    assert sorted(itertools.chain(*parts)) == whole[16:]
    for batch in range(0, 104, 12):
        share = slice(batch // 3, batch // 3 + 4)
        assert (
            sorted(itertools.chain(*(part[share] for part in parts)))
            == whole[16:][batch : batch + 12]
        )


@settings(max_examples=25)  # each traces a graph
@given(data=st.data(), window=st.integers(0, 60))
def test_any_share_of_any_order_is_what_its_positions_say(
    tmp_path_factory, write_shards, data, window
):
    stored = data.draw(
        st.lists(st.lists(st.binary(max_size=9), max_size=25), min_size=1, max_size=4)
    )
    hosts = data.draw(st.integers(1, 3))
    order = Order(
        1, 2, data.draw(st.integers(0, 60)), data.draw(st.integers(0, hosts - 1)), hosts, window
    )
    shards = write_shards(tmp_path_factory.mktemp("shards"), stored)
    permutation, records = (
        order.permutation([len(shard) for shard in stored]),
        list(itertools.chain(*stored)),
    )
    positions = order.positions(permutation, 2 * hosts).tolist()
    wanted = [(at, records[permutation[at]]) for at in positions]
    assert read(shards, order, 2 * hosts) == wanted


def test_a_stream_reads_each_block_at_once(tmp_path, write_shards, reads):
    shards = write_shards(tmp_path, [[bytes(10)] * 96] * 2)  # blocks of three records
    read(shards, STREAM)
    assert len(reads) <= 64 and sorted(reads)[0][0] == 0
    assert all((end - start) % (3 * 26) == 0 for start, end in reads)


def test_resuming_a_stream_reads_no_more_than_a_window_too_much(tmp_path, write_shards, reads):
    shards = write_shards(tmp_path, [[bytes(10)] * 192])
    assert len(read(shards, dataclasses.replace(STREAM, skip=47))) == 145
    assert sum(end - start for start, end in reads) <= 192 * 26


def test_a_stream_reads_few_windows_ahead(tmp_path, write_shards, reads):
    shards = write_shards(tmp_path, [[bytes(10)] * 960])
    records = iter(read_records(shards, STREAM))
    next(records)
    threading.Event().wait(0.5)
    assert sum(end - start for start, end in reads) <= 3 * 48 * 26


def test_blocks_of_large_records_have_few_of_them(shards, monkeypatch, payloads):
    blocks, read_payloads = [], reading._read_payloads
    monkeypatch.setattr(
        reading, "_read_payloads", lambda *args: blocks.append(args[0]) or read_payloads(*args)
    )
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1000)
    read(shards, SHUFFLE)
    assert {len(block) for block in blocks} == {5}  # of 194.5 bytes


def test_shards_without_records_are_an_empty_epoch(tmp_path, write_shards):
    shards = write_shards(tmp_path, [[], []])
    assert read(shards, SHUFFLE) == read(shards, STREAM) == read(shards, corrupt=Corrupt()) == []


def test_a_read_that_comes_in_parts_is_put_together(shards, payloads, monkeypatch):
    pread = reading.os.pread
    monkeypatch.setattr(reading.os, "pread", lambda file, size, at: pread(file, min(size, 7), at))
    assert read(shards, SHUFFLE) == expected(SHUFFLE, payloads)


def test_no_file_stays_open(shards):
    def is_open():
        names = (str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists())
        return [name for name in names if "tiny-train" in name]

    iterator = iter(read_records(shards, STREAM))
    next(iterator)
    threading.Event().wait(0.2)
    assert is_open() == []


@pytest.mark.parametrize("in_graph", [False, True], ids=["python", "graph"])
@EVERY_ORDER
def test_a_damaged_record_is_one_line_with_shard_record_and_byte(shards, payloads, order, in_graph):
    start = flip_bit(shards[1], 7, payloads)
    batches = read_records(shards, order, in_graph=in_graph).batch(4).prefetch(1)
    with pytest.raises(UserError) as raised, damage_named("data/tiny"):
        list(batches)
    reason = "cannot be read" if in_graph else "does not match its checksums"
    place = f"{shards[1]}: record 7 at byte {start}: {reason}"
    assert str(raised.value) == f"data/tiny is damaged ({place}): see `tfcap verify`"


@pytest.mark.parametrize("corrupt", [None, Corrupt()], ids=["strict", "skip"])
def test_a_shard_that_goes_away_is_one_line_with_its_name(shards, corrupt):
    batches = read_records(shards, SHUFFLE, corrupt=corrupt)
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
@pytest.mark.parametrize("corrupt", [None, Corrupt()], ids=["strict", "skip"])
def test_an_order_without_its_index_is_refused(shards, change, corrupt):
    change(shards[3].with_name(ShardName.parse(shards[3].name).index_file))
    with pytest.raises(UserError, match=r"tiny-train\.index-00003-of-00004"):
        read_records(shards, SHUFFLE, corrupt=corrupt)


def test_other_errors_are_not_taken_for_damage():
    for kind in (tf.errors.UnknownError, tf.errors.InvalidArgumentError):
        with pytest.raises(kind), damage_named("data/tiny"):
            raise kind(None, None, "a bug")


@pytest.mark.parametrize("order", [None, SHUFFLE, STREAM], ids=["stored", "shuffle", "stream"])
def test_exactly_the_damaged_records_are_stepped_over(shards, payloads, order):
    whole, corrupt = read(shards, order), Corrupt()
    bad = [*range(12), 77]
    for number in bad:
        shard, first = (shards[1], 0) if number < 50 else (shards[3], 50)
        flip_bit(shard, number - first, payloads[first:])
    lost = [payloads[number] for number in bad]
    wanted = [(at, b"" if payload in lost else payload) for at, payload in whole]
    for _ in range(2):  # the second time, they are counted already
        assert read(shards, order, corrupt=corrupt) == wanted
        assert corrupt.count == len(bad)
    assert len(corrupt.places) == len(set(corrupt.places)) == 5
    for place in corrupt.places:
        shard = rf"({shards[1]}|{shards[3]})"
        assert re.fullmatch(
            rf"{shard}: record \d+ at byte \d+: does not match its checksums", place
        )


def test_what_a_shard_was_cut_short_by_is_stepped_over(shards, payloads):
    shards[1].write_bytes(shards[1].read_bytes()[:-200])  # of the 49th and the 50th record
    corrupt = Corrupt()
    assert read(shards, corrupt=corrupt) == [
        (at, b"" if at in (48, 49) else payload) for at, payload in enumerate(payloads)
    ]
    assert corrupt.count == 2
    with pytest.raises(UserError, match="goes from byte 0"):
        read(shards, SHUFFLE)


def test_counters_do_not_mix_and_are_not_kept(shards, payloads):
    flip_bit(shards[1], 7, payloads)
    one, other = Corrupt(), Corrupt()
    dataset = read_records(shards, SHUFFLE, corrupt=one)
    list(read_records(shards, STREAM, corrupt=other).take(1))
    list(dataset)
    assert one.count == 1
    gone = weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None
    assert len(list(dataset)) == len(payloads)  # what nobody counts is still stepped over


def test_epochs_leave_nothing_behind(shards):
    """TensorFlow keeps the functions that its graphs call; closures would keep all they hold."""

    def epoch(number):
        order = dataclasses.replace(SHUFFLE, epoch=number)
        list(read_records(shards, order, corrupt=Corrupt()))
        gc.collect()
        return sum(isinstance(each, (np.ndarray, Corrupt)) for each in gc.get_objects())

    counts = [epoch(number) for number in range(4)]
    assert counts[1] == counts[3]


@EVERY_ORDER
def test_one_dataset_goes_through_the_orders_of_all_passes(shards, payloads, order):
    passes = Passes(dataclasses.replace(order, epoch=9))
    dataset = read_records(shards, passes)
    gc.collect()  # nobody but the dataset may need its variables
    left = iter(dataset)
    next(left)  # and is left in the middle
    for epoch, skip in ((0, 0), (1, 0), (1, 50), (2, 120), (0, 0)):
        moved = dataclasses.replace(order, epoch=epoch, skip=skip)
        passes.begin(moved)
        found = [(int(at), payload.numpy()) for at, payload in dataset]
        assert found == expected(moved, payloads)[skip:]


def test_a_dataset_outlives_what_gave_it_its_order(shards, payloads):
    passes = Passes(SHUFFLE)
    dataset, gone = read_records(shards, passes), weakref.ref(passes)
    del passes
    gc.collect()
    assert gone() is None
    assert len(list(dataset)) == len(payloads)


def test_damage_cannot_be_counted_in_the_graph(shards):
    with pytest.raises(ValueError, match="cannot be counted"):
        read_records(shards, SHUFFLE, corrupt=Corrupt(), in_graph=True)


def test_another_process_can_read_in_the_graph(shards, payloads):
    """With a real dispatcher and a real worker of the tf.data service."""
    dispatcher = tf.data.experimental.service.DispatchServer()
    worker = tf.data.experimental.service.WorkerServer(
        tf.data.experimental.service.WorkerConfig(
            dispatcher_address=dispatcher.target.partition("://")[2], heartbeat_interval_ms=100
        )
    )
    records = read_records(shards, STREAM, in_graph=True).apply(
        tf.data.experimental.service.distribute("parallel_epochs", dispatcher.target)
    )
    assert [(int(at), payload.numpy()) for at, payload in records] == expected(STREAM, payloads)
    del worker
