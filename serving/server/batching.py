"""Merges the calls of many requests, and splits what comes back.

Calls of one signature, version and inner shape wait in one line. A batch is made when a worker is
free and either enough rows wait or the first has waited for the time allowed: under load batches
thus grow by themselves while the model is busy.
"""

import asyncio
import dataclasses
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np
import tensorflow as tf
from grpc import StatusCode

from serving.server.errors import RequestError, invalid, one_line
from serving.server.metrics import Metrics
from serving.server.model import Arrays, Model


@dataclasses.dataclass
class _Call:
    """What waits for the model: some rows of one request, and where their answer goes."""

    inputs: Arrays
    rows: int
    answer: asyncio.Future
    since: float


@dataclasses.dataclass
class _Line:
    """Calls that can be merged."""

    model: Model
    signature: str
    limit: int
    calls: deque[_Call] = dataclasses.field(default_factory=deque)
    rows: int = 0

    def take(self) -> list[_Call]:
        """Remove and return the calls of the next batch, whole calls from the front."""
        batch, rows = [], 0
        while self.calls and (not batch or rows + self.calls[0].rows <= self.limit):
            batch.append(self.calls.popleft())
            rows += batch[-1].rows
        self.rows -= rows
        return batch


class Batcher:
    """Calls models for requests, on one asyncio loop."""

    def __init__(
        self,
        executor: Executor,
        workers: int,
        max_batch_size: int,
        timeout: float,
        queue_size: int,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Make a batcher.

        Args:
            executor: runs calls of the model; its threads are the `workers`.
            workers: calls at the same time.
            max_batch_size: rows of a call; 1 leaves every request alone.
            timeout: seconds that a call waits for others at most.
            queue_size: rows that wait at most.
            metrics: told of batches and of the queue.
            clock: seconds.
        """
        self._executor = executor
        self._free = workers
        self._max_batch_size = max_batch_size
        self._timeout = timeout
        self._queue_size = queue_size
        self._metrics = metrics
        self._clock = clock
        self._lines: dict[tuple, _Line] = {}
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task] = set()

    async def call(self, model: Model, signature: str, inputs: Arrays, rows: int) -> Arrays:
        """Call a signature, merged with others if they come.

        Args:
            model: a loaded model.
            signature: the signature's name.
            inputs: checked by the signature.
            rows: their number.

        Returns:
            the outputs of these rows alone.

        Raises:
            RequestError: the queue is full; the request is larger than it; the call failed.
        """
        if rows > self._queue_size:
            raise invalid(f"request of {rows} rows: send at most {self._queue_size}")
        if self._waiting + rows > self._queue_size:
            self._forget_abandoned()
        if self._waiting + rows > self._queue_size:
            raise RequestError(
                StatusCode.RESOURCE_EXHAUSTED,
                f"The batch scheduling queue is full: {self._waiting} rows wait; try again later",
            )
        limit = self._max_batch_size
        merged = limit > 1 and model.signatures[signature].batched
        if not merged or rows <= limit:
            return await self._enqueue(model, signature, inputs, rows, merged)
        starts = range(0, rows, limit)
        pieces = [
            self._enqueue(
                model,
                signature,
                {name: array[start : start + limit] for name, array in inputs.items()},
                min(limit, rows - start),
                merged,
            )
            for start in starts
        ]
        answers = await asyncio.gather(*pieces)
        return {name: np.concatenate([each[name] for each in answers]) for name in answers[0]}

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        while self._lines or self._running:
            await asyncio.sleep(0.01)

    def _enqueue(
        self, model: Model, signature: str, inputs: Arrays, rows: int, merged: bool
    ) -> asyncio.Future:
        call = _Call(inputs, rows, asyncio.get_running_loop().create_future(), self._clock())
        # A call that is not merged gets a line of its own.
        inner = tuple(array.shape[1:] for array in inputs.values()) if merged else id(call)
        line = self._lines.get(key := (id(model), signature, inner))
        if line is None:
            limit = self._max_batch_size if merged else 0
            line = self._lines[key] = _Line(model, signature, limit)
        line.calls.append(call)
        line.rows += rows
        self._count(rows)
        self._dispatch()
        return call.answer

    def _forget_abandoned(self) -> None:
        """Make room: remove the calls whose requests have given up waiting."""
        for key, line in list(self._lines.items()):
            kept = deque(call for call in line.calls if not call.answer.done())
            rows = sum(call.rows for call in kept)
            self._count(rows - line.rows)
            line.calls, line.rows = kept, rows
            if not kept:
                del self._lines[key]

    def _count(self, rows: int) -> None:
        self._waiting += rows
        self._metrics.queue_rows.set(self._waiting)

    def _dispatch(self) -> None:
        """Start every batch that can start; set the timer for the next that will."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        while self._free and self._lines:
            now = self._clock()
            due = min(self._lines, key=lambda key: self._due(self._lines[key]))
            wait = self._due(self._lines[due]) - now
            if wait > 0:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(wait, self._dispatch)
                return
            line = self._lines[due]
            batch = line.take()
            if not line.calls:
                del self._lines[due]
            self._count(-sum(call.rows for call in batch))
            # Whoever has given up needs no answer.
            batch = [call for call in batch if not call.answer.done()]
            if batch:
                self._free -= 1
                task = asyncio.get_running_loop().create_task(self._run(line, batch))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    def _due(self, line: _Line) -> float:
        """Return when a line's next batch should start; a full one should have long ago."""
        waits = 0 if line.rows >= line.limit else self._timeout
        return line.calls[0].since + waits

    async def _run(self, line: _Line, batch: list[_Call]) -> None:
        try:
            await self._answer(line, batch)
        finally:
            self._free += 1
            self._dispatch()

    async def _answer(self, line: _Line, batch: list[_Call]) -> None:
        """Call the model, and give every call its rows, or the error."""
        self._metrics.batch_rows.observe(sum(call.rows for call in batch))
        loop = asyncio.get_running_loop()
        try:
            split = await loop.run_in_executor(self._executor, _call_merged, line, batch)
        except Exception as error:
            # One call may have spoilt it for the others: each is tried by itself.
            if len(batch) > 1:
                for call in batch:
                    await self._answer(line, [call])
            elif not batch[0].answer.done():
                batch[0].answer.set_exception(_as_request_error(error))
            return
        for call, outputs in zip(batch, split, strict=True):
            if not call.answer.done():
                call.answer.set_result(outputs)


def _call_merged(line: _Line, batch: list[_Call]) -> list[Arrays]:
    """Call the model once; returns the outputs of each call."""
    if len(batch) == 1:
        return [line.model.run(line.signature, batch[0].inputs)]
    names = batch[0].inputs.keys()
    merged = {name: np.concatenate([call.inputs[name] for call in batch]) for name in names}
    outputs = line.model.run(line.signature, merged)
    total = sum(call.rows for call in batch)
    if wrong := [name for name, array in outputs.items() if array.shape[:1] != (total,)]:
        raise ValueError(f"outputs {wrong} of {line.signature} do not have {total} rows")
    ends = np.cumsum([call.rows for call in batch])
    return [
        {name: array[end - call.rows : end] for name, array in outputs.items()}
        for call, end in zip(batch, ends, strict=True)
    ]


def _as_request_error(error: Exception) -> RequestError:
    if isinstance(error, tf.errors.OpError):
        codes = {code.value[0]: code for code in StatusCode}
        return RequestError(codes.get(error.error_code, StatusCode.INTERNAL), one_line(error))
    return RequestError(StatusCode.INTERNAL, f"{type(error).__name__}: {one_line(error)}")
