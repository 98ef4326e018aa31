import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from grpc import StatusCode
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.server.batching import Batcher
from serving.server.errors import RequestError
from serving.server.metrics import Metrics
from serving.server.model import Signature, TensorSpec

ROWS = TensorSpec("x:0", tf.int64, (-1,))
ALONE = TensorSpec("x:0", tf.int64, (2,))


class Recorder:
    """A model that doubles numbers, refuses 13, and waits while it is told to."""

    def __init__(self):
        self.signatures = {
            "double": Signature("double", {"x": ROWS}, {"y": ROWS}),
            "alone": Signature("alone", {"x": ALONE}, {"y": ALONE}),
        }
        self.batches = []
        self.may_go = threading.Event()
        self.may_go.set()

    def run(self, name, inputs):
        self.may_go.wait()
        self.batches.append(inputs["x"].tolist())
        if 13 in inputs["x"]:
            raise tf.errors.InvalidArgumentError(None, None, "13 is not taken")
        return {"y": 2 * inputs["x"]}


def run(use, **options):
    """Run a coroutine function of a batcher and a model."""
    model = Recorder()
    with ThreadPoolExecutor(1) as executor:
        settings_ = {"max_batch_size": 4, "timeout": 0.0, "queue_size": 100, **options}

        async def main():
            batcher = Batcher(executor, 1, metrics=Metrics("m"), **settings_)
            result = await asyncio.wait_for(use(batcher, model), 20)
            await batcher.drain()
            return result

        try:
            return asyncio.run(main()), model.batches
        finally:
            model.may_go.set()


def call(batcher, model, numbers, signature="double"):
    inputs = {"x": np.array(numbers, np.int64)}
    return asyncio.ensure_future(batcher.call(model, signature, inputs, len(numbers)))


async def all_at_once(batcher, model, requests, signature="double"):
    """Hold the model until all requests wait; returns their answers or errors."""
    model.may_go.clear()
    calls = [call(batcher, model, numbers, signature) for numbers in requests]
    await asyncio.sleep(0.02)
    model.may_go.set()
    return await asyncio.gather(*calls, return_exceptions=True)


@settings(max_examples=30)
@given(
    st.lists(st.lists(st.integers(-50, 50), max_size=9), min_size=1, max_size=9),
    st.integers(1, 6),
)
def test_every_request_gets_the_answer_to_its_own_rows(requests, max_batch_size):
    """Rows of any number, of which some are refused: as if each request had been alone."""
    found, batches = run(
        lambda batcher, model: all_at_once(batcher, model, requests), max_batch_size=max_batch_size
    )
    for numbers, answer in zip(requests, found, strict=True):
        if 13 in numbers:
            assert answer.code == StatusCode.INVALID_ARGUMENT and "13" in answer.message
        else:
            assert answer["y"].tolist() == [2 * number for number in numbers]
    alone = max(map(len, requests)) if max_batch_size == 1 else 0
    assert max(map(len, batches)) <= max(max_batch_size, alone)


def test_requests_that_come_together_are_merged():
    _, batches = run(lambda batcher, model: all_at_once(batcher, model, [[1], [2], [3], [4, 5]]))
    # The first goes alone, as the model is free; the others wait for it, whole requests a batch.
    assert batches == [[1], [2, 3, 4, 5]] or batches == [[1], [2, 3], [4, 5]]


def test_an_idle_model_waits_for_others_up_to_the_timeout():
    async def one_by_one(batcher, model):
        first = call(batcher, model, [1])
        await asyncio.sleep(0.01)
        return await asyncio.gather(first, call(batcher, model, [2]))

    assert run(one_by_one, timeout=0.2)[1] == [[1, 2]]
    assert run(one_by_one, timeout=0.0)[1] == [[1], [2]]


def test_a_full_batch_does_not_wait():
    async def fill(batcher, model):
        return await asyncio.gather(*(call(batcher, model, [n]) for n in range(4)))

    assert run(fill, timeout=100.0)[1] == [[0, 1, 2, 3]]


def test_without_batching_every_request_is_alone():
    _, batches = run(
        lambda batcher, model: all_at_once(batcher, model, [[1], [2, 3], [4]]), max_batch_size=1
    )
    assert sorted(batches) == [[1], [2, 3], [4]]


def test_a_signature_without_rows_is_never_merged():
    found, batches = run(
        lambda batcher, model: all_at_once(batcher, model, [[1, 2], [3, 4]], "alone")
    )
    assert [answer["y"].tolist() for answer in found] == [[2, 4], [6, 8]]
    assert sorted(batches) == [[1, 2], [3, 4]]


def test_a_full_queue_refuses_and_takes_again():
    async def fill(batcher, model):
        model.may_go.clear()
        running = call(batcher, model, [0])
        await asyncio.sleep(0.02)
        waiting = [call(batcher, model, [1, 2]), call(batcher, model, [3])]
        await asyncio.sleep(0)
        with pytest.raises(RequestError) as raised:
            await call(batcher, model, [4])
        assert raised.value.code == StatusCode.RESOURCE_EXHAUSTED
        with pytest.raises(RequestError) as raised:  # it would never fit
            await call(batcher, model, [5] * 4)
        assert raised.value.code == StatusCode.INVALID_ARGUMENT
        model.may_go.set()
        await asyncio.gather(running, *waiting)
        return await call(batcher, model, [6])

    assert run(fill, queue_size=3)[0]["y"].tolist() == [12]


def test_who_has_given_up_leaves_room_in_the_queue():
    async def give_up(batcher, model):
        model.may_go.clear()
        running = call(batcher, model, [0])
        await asyncio.sleep(0.02)
        waiting = [call(batcher, model, [1, 2]), call(batcher, model, [3])]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        more = call(batcher, model, [4, 5])
        await asyncio.sleep(0)
        model.may_go.set()
        return await asyncio.gather(running, waiting[1], more)

    assert run(give_up, queue_size=3)[1] == [[0], [3, 4, 5]]


def test_who_has_given_up_is_not_computed():
    async def give_up(batcher, model):
        model.may_go.clear()
        running = call(batcher, model, [0])
        await asyncio.sleep(0.02)
        waiting = [call(batcher, model, [1]), call(batcher, model, [2])]
        await asyncio.sleep(0)
        waiting[0].cancel()
        model.may_go.set()
        return await asyncio.gather(running, waiting[1])

    assert run(give_up)[1] == [[0], [2]]
