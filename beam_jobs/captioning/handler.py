"""From the names of a shard's pictures to its rows, by a model that each process loads once."""

import collections
import dataclasses
import hashlib
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from apache_beam.ml.inference.base import ModelHandler

from beam_jobs.captioning.exports import CaptionModel, Described
from beam_jobs.captioning.job import CaptionJob
from beam_jobs.progress import count_pictures
from beam_jobs.stores import PictureUnreadable, read_picture
from records.caption_rows import CaptionRow
from records.dead_letters import DeadLetter, Reason
from records.pictures import PictureRejected, PictureSpec, normalise_picture

# Threads of a process that read pictures and make them ready, while the model has the others.
READERS = 4

T, R = TypeVar("T"), TypeVar("R")


@dataclasses.dataclass(frozen=True)
class ShardPictures:
    """What is to be captioned: a shard's file name, and the paths of its pictures, sorted."""

    file: str
    paths: tuple[str, ...]

    def __len__(self):  # Beam counts inferences by it
        return len(self.paths)


class ShardRows(NamedTuple):
    """A captioned shard: its file name, its rows sorted by path, and what was rejected."""

    file: str
    rows: tuple[CaptionRow, ...]
    dead_letters: tuple[DeadLetter, ...]


class ReadyPicture(NamedTuple):
    """A picture as a model takes it: its path, the SHA-256 of its file, and an upright JPEG."""

    path: str
    sha256: str
    encoded: bytes


class CaptionHandler(ModelHandler[ShardPictures, ShardRows, CaptionModel]):
    """Captions whole shards.

    A shard's pictures go through the model in batches of their order: what a picture's neighbours
    in a batch are does not depend on the runner, on bundles or on the number of workers, and so
    its numbers do not either. Elements are shards, since what stands behind a shuffle starts when
    all that stands before it is done: a job that was stopped would have nothing to go on with.

    Attributes:
        job: the run.
    """

    def __init__(self, job: CaptionJob):
        super().__init__()
        self.job = job

    def load_model(self) -> CaptionModel:
        # What is wrong with a picture goes to the dead letters, not across the progress bar.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        return CaptionModel(self.job.export, self.job.embeddings)

    def should_skip_batching(self) -> bool:
        return True

    def run_inference(
        self, batch: ShardPictures, model: CaptionModel, inference_args: dict | None = None
    ) -> Iterator[ShardRows]:
        """Caption one shard; yields its rows."""
        rows, letters = [], []
        good = self._good(batch.paths, letters)
        while pictures := list(itertools.islice(good, self.job.batch_size)):
            described = model.describe([picture.encoded for picture in pictures])
            for row in map(as_row, pictures, described):
                (letters if isinstance(row, DeadLetter) else rows).append(row)
        yield ShardRows(batch.file, tuple(rows), tuple(letters))

    def _good(self, paths: Iterable[str], letters: list[DeadLetter]) -> Iterator[ReadyPicture]:
        """Yield the pictures that can be taken; append the others to `letters`."""
        spec, ahead = self.job.export.picture, 2 * self.job.batch_size
        for made in look_ahead(lambda path: make_ready(path, spec), paths, READERS, ahead):
            if isinstance(made, DeadLetter):
                letters.append(made)
            else:
                yield made
            count_pictures(self.job.progress_file, 1)


def make_ready(path: str, spec: PictureSpec) -> ReadyPicture | DeadLetter:
    """Read a picture and make it ready as the records are: checked, upright, RGB, scaled down."""
    try:
        source = read_picture(path)
        encoded = normalise_picture(source, spec).encoded
    except (PictureUnreadable, PictureRejected) as refused:
        return DeadLetter(path, refused.reason, refused.detail)
    return ReadyPicture(path, hashlib.sha256(source).hexdigest(), encoded)


def as_row(picture: ReadyPicture, said: Described) -> CaptionRow | DeadLetter:
    """Return the row of a picture; its dead letter where the export would not take it."""
    if said.error:
        return DeadLetter(picture.path, Reason.UNDECODABLE, f"by the export: {said.error}")
    return CaptionRow(picture.path, picture.sha256, said.caption, said.log_prob, said.embedding)


def look_ahead(
    function: Callable[[T], R], items: Iterable[T], threads: int, ahead: int
) -> Iterator[R]:
    """Yield `function(item)` of each item in order, computed by threads up to `ahead` items ahead.

    What is computed and not taken yet is all that is held.
    """
    with ThreadPoolExecutor(threads) as pool:
        pending = collections.deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
