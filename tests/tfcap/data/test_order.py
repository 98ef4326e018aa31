"""The order of an epoch: one checker of its properties, run over every mode."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.errors import UserError
from tfcap.data import Order

MODES = pytest.mark.parametrize("streams", [False, True], ids=["shuffle", "stream"])
COUNTS = st.lists(st.integers(0, 80), min_size=1, max_size=6)


def orders(streams):
    """Return a strategy for orders of a mode, at the beginning of an epoch."""
    windows = st.integers(1, 150) if streams else st.just(0)
    return st.builds(Order, st.integers(0, 2**70), st.integers(0, 10**6), window=windows)


def shares(order, permutation, batch_size, hosts):
    """Return the positions of each host."""
    return [
        dataclasses.replace(order, host=host, hosts=hosts).positions(permutation, batch_size)
        for host in range(hosts)
    ]


@MODES
@given(data=st.data(), counts=COUNTS)
def test_an_order_is_a_permutation_that_follows_from_seed_and_epoch(streams, data, counts):
    order = data.draw(orders(streams))
    permutation = order.permutation(counts)
    assert permutation.dtype == np.int64
    assert sorted(permutation.tolist()) == list(range(sum(counts)))
    same = dataclasses.replace(order, skip=3, host=1, hosts=2)
    np.testing.assert_array_equal(same.permutation(counts), permutation)


@MODES
@given(data=st.data(), counts=st.lists(st.integers(20, 60), min_size=2, max_size=4))
def test_every_epoch_and_every_seed_has_another_order(streams, data, counts):
    # With a window of two records, two orders of 20 blocks and more are alike once in 20! times.
    order = data.draw(orders(streams))
    for change in ({"epoch": order.epoch + 1}, {"seed": order.seed + 1}):
        other = dataclasses.replace(order, **change)
        assert (order.permutation(counts) != other.permutation(counts)).any()


@MODES
@given(data=st.data(), counts=COUNTS, hosts=st.integers(1, 5), share=st.integers(1, 9))
def test_hosts_read_disjoint_partsof_the_same_batches(streams, data, counts, hosts, share):
    order = data.draw(orders(streams))
    permutation, batch_size = order.permutation(counts), hosts * share
    order = dataclasses.replace(order, skip=data.draw(st.integers(0, len(permutation) + 1)))
    rest = np.arange(order.skip, len(permutation))
    read = shares(order, permutation, batch_size, hosts)
    for batch in range(0, len(rest), batch_size):
        whole = rest[batch : batch + batch_size]
        parts, read = [part[:share] for part in read], [part[share:] for part in read]
        assert sorted(np.concatenate(parts).tolist()) == whole.tolist()
        assert all((np.diff(part) > 0).all() for part in parts)
        sizes = [len(part) for part in parts]
        assert sizes == sorted(sizes, reverse=True) and sizes[0] - sizes[-1] <= 1
    assert not any(map(len, read))


@MODES
@given(data=st.data(), counts=COUNTS, hosts=st.integers(1, 4), share=st.integers(1, 9))
def test_after_batches_that_are_skipped_come_the_others(streams, data, counts, hosts, share):
    order, batch_size = data.draw(orders(streams)), hosts * share
    permutation = order.permutation(counts)
    done = data.draw(st.integers(0, len(permutation) // batch_size))
    resumed = dataclasses.replace(order, skip=done * batch_size)
    whole = shares(order, permutation, batch_size, hosts)
    for part, rest in zip(whole, shares(resumed, permutation, batch_size, hosts), strict=True):
        np.testing.assert_array_equal(part[done * share :], rest)


@given(orders(True), COUNTS)
def test_a_window_of_a_stream_is_a_few_runs_of_records(order, counts):
    permutation, size = order.permutation(counts), order.block
    ends = np.cumsum(counts)
    shard_of = np.searchsorted(ends, permutation, side="right")
    inside = permutation - (ends - counts)[shard_of]
    blocks = list(zip(shard_of.tolist(), (inside // size).tolist(), strict=True))
    windows = [set(blocks[at : at + order.window]) for at in range(0, len(blocks), order.window)]
    # A block lies in one window, or in several that follow each other.
    for block in set(blocks):
        of = [number for number, window in enumerate(windows) if block in window]
        assert of == list(range(of[0], of[0] + len(of)))
    # Without blocks that shards cut short, a window has no more of them than fit, and two cut ones.
    if all(count % size == 0 for count in counts):
        assert all(len(window) <= order.window // size + 2 for window in windows)


def test_a_stream_mixes_shards_and_the_records_of_a_window():
    order = Order(5, 1, window=64)
    permutation = order.permutation([400] * 5)
    windows = permutation[: 2000 // 64 * 64].reshape(-1, 64)
    shards = [len(set((window // 400).tolist())) for window in windows]
    assert np.mean(shards) > 4  # 16 blocks of 4 records out of 5 shards
    neighbours = np.diff(windows, axis=1) == 1
    assert neighbours.mean() < 0.03  # in each window, 48 of 63 before they are shuffled


def test_the_order_is_fixed_for_ever():
    # Were these numbers to change, interrupted runs would go on in another order.
    assert Order(1, 0).permutation(10).tolist() == [2, 0, 1, 4, 5, 6, 7, 8, 3, 9]
    assert Order(1, 1).permutation(10).tolist() == [7, 1, 6, 9, 3, 5, 0, 8, 2, 4]
    assert Order(2, 0).permutation(10).tolist() == [9, 6, 4, 8, 7, 0, 5, 2, 1, 3]
    assert Order(1, 0).epoch_seed() == 4215923173971654960
    stream = Order(1, 0, window=32)  # blocks of two
    assert stream.permutation([3, 0, 5, 2]).tolist() == [7, 8, 3, 6, 9, 4, 5, 0, 2, 1]
    parts = shares(Order(1, 0), Order(1, 0).permutation(10), 4, 2)
    assert [part.tolist() for part in parts] == [[1, 2, 4, 5, 8], [0, 3, 6, 7, 9]]


def test_all_orders_are_equally_likely():
    epochs = 2400
    seen = Counter(tuple(Order(7, epoch).permutation(4).tolist()) for epoch in range(epochs))
    assert len(seen) == 24
    # Five standard deviations of a binomial with n=2400, p=1/24.
    assert all(abs(count - epochs / 24) < 5 * 9.8 for count in seen.values())


def test_the_seed_of_an_epoch_follows_from_seed_and_epoch():
    seeds = {Order(seed, epoch).epoch_seed() for seed in range(3) for epoch in range(3)}
    assert len(seeds) == 9
    assert all(0 <= Order(2**70, epoch).epoch_seed() < 2**63 for epoch in range(9))
    assert Order(1, 2, skip=5, host=1, hosts=2, window=9).epoch_seed() == Order(1, 2).epoch_seed()


@pytest.mark.parametrize("name", ["seed", "epoch", "skip", "window", "host"])
def test_an_order_with_negative_numbers_is_refused(name):
    with pytest.raises(ValueError, match=f"{name}=-1"):
        Order(**{"seed": 0, "epoch": 0, name: -1})


def test_a_host_beyond_the_others_is_refused():
    with pytest.raises(ValueError, match=r"host must be in 0\.\.1, got"):
        Order(0, 0, host=2, hosts=2)


@pytest.mark.parametrize("batch_size", [None, 0, 8])
def test_batches_that_hosts_cannot_share_equally_are_refused(batch_size):
    with pytest.raises(UserError, match=f"3 hosts cannot share batches of {batch_size}"):
        Order(0, 0, hosts=3).positions(np.arange(20), batch_size)
