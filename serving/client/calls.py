"""From pictures to columns of a request, and from columns of an answer to results."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from serving.client.errors import InvalidAnswer
from serving.client.results import Beam, Caption, Embedding, Explanation, Score

Result = TypeVar("Result")
Picture = bytes | str | os.PathLike
# Names of inputs or outputs to one value a row: bytes or text, numbers, or nested lists of them.
Columns = Mapping[str, Sequence]


@dataclasses.dataclass(frozen=True)
class Call(Generic[Result]):
    """A signature.

    Attributes:
        signature: its name.
        result: dataclass whose fields are its outputs.
        text: name of the input that goes with each picture, if there is one.
    """

    signature: str
    result: Callable[..., Result]
    text: str | None = None


CAPTION = Call("serving_default", Caption)
COMPLETE = Call("complete", Caption, "prompt")
SCORE = Call("score", Score, "caption")
BEAM = Call("beam", Beam)
EMBED = Call("embed", Embedding)
EXPLAIN = Call("explain", Explanation)


@dataclasses.dataclass(frozen=True)
class BatchSpec:
    """How much goes into one request: at most so many pictures, and so many bytes of them (one
    picture that is larger goes alone)."""

    pictures: int = 32
    size: int = 8 << 20

    def __post_init__(self):
        if self.pictures < 1 or self.size < 1:
            raise ValueError(f"a batch holds at least one picture and one byte, got {self}")


def requests(
    call: Call, pictures: Iterable[Picture], texts: str | Iterable[str] | None, spec: BatchSpec
) -> Iterator[Columns]:
    """Yield the input columns of each request, in order; files are read as their turn comes.

    Raises:
        TypeError: `pictures` is one picture instead of several, or there is no picture in it.
        ValueError: there are not as many texts as pictures.
        OSError: a file cannot be read.
    """
    if isinstance(pictures, Picture):
        raise TypeError("pictures must be several, as in [picture]: got a single one")
    pictures = list(pictures)
    if isinstance(texts, str):
        texts = [texts] * len(pictures)
    texts = list(texts or ())
    if call.text and len(texts) != len(pictures):
        raise ValueError(
            f"{call.signature} wants one {call.text} for each picture: "
            f"got {len(texts)} for {len(pictures)}"
        )
    for rows, batch in _batches(pictures, spec):
        columns = {"image_bytes": batch}
        if call.text:
            columns[call.text] = texts[rows]
        yield columns


def _batches(pictures: list[Picture], spec: BatchSpec) -> Iterator[tuple[slice, list[bytes]]]:
    start, batch, size = 0, [], 0
    for index, picture in enumerate(pictures):
        data = _read(picture)
        if batch and (len(batch) == spec.pictures or size + len(data) > spec.size):
            yield slice(start, index), batch
            start, batch, size = index, [], 0
        batch.append(data)
        size += len(data)
    if batch:
        yield slice(start, len(pictures)), batch


def _read(picture: Picture) -> bytes:
    if not isinstance(picture, Picture):
        raise TypeError(f"a picture is bytes or the path of a file, got {type(picture).__name__}")
    return picture if isinstance(picture, bytes) else Path(picture).read_bytes()


def results(call: Call[Result], columns: Columns, rows: int) -> tuple[Result, ...]:
    """Return the results of the rows of an answer.

    Raises:
        InvalidAnswer: an output is missing, or has not one value a row.
    """
    names = [field.name for field in dataclasses.fields(call.result)]
    for name in names:
        if name not in columns:
            raise InvalidAnswer(
                f"{call.signature} of the served model gives no {name}, only "
                f"{', '.join(sorted(columns)) or 'nothing'}: it is no captioner of tfcap"
            )
        if not isinstance(columns[name], Sequence) or len(columns[name]) != rows:
            raise InvalidAnswer(f"{call.signature} did not give one {name} for each of {rows} rows")
    return tuple(
        call.result(**{name: _frozen(columns[name][row]) for name in names}) for row in range(rows)
    )


def _frozen(value):
    """Return nested lists as nested tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
