"""The pipeline that builds records: a graph whose steps read as prose."""

import itertools
import warnings
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared

from beam_jobs.job import BuildJob
from beam_jobs.outcomes import Outcome, merge
from beam_jobs.publish import publish_dataset
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.shuffle import pack_rows, unpack_rows
from beam_jobs.source import Source


def build_graph(pipeline: beam.Pipeline, job: BuildJob) -> None:
    """Lay out the job. Names and captions travel through it; the bytes of pictures do not.

    The graph has the same size for any number of pictures and shards. Its last step publishes the
    dataset: where it ran, the dataset is complete, whether or not the launcher is still there.
    """
    _ = (
        pipeline
        | "Name the source" >> beam.Create([job.source], reshuffle=False)
        | "Read captions and splits" >> beam.FlatMap(rows_by_shard, job)
        | "Group pictures by shard" >> beam.GroupByKey()
        | "Normalise pictures and write shards" >> beam.ParDo(WriteShard(job))
        | "Add up the outcomes" >> beam.CombineGlobally(merge)
        | "Publish the dataset" >> beam.Map(publish_dataset, job)
    )


def rows_by_shard(source: Source, job: BuildJob) -> Iterator[tuple[str, bytes | None]]:
    """Yield (shard, a block of its rows) until all rows that have a split are through.

    A shard that no picture falls to is named too, with None: all of 00000..N-1 are written.
    """
    for file in job.shard_files():
        yield file, None
    rows = (row for row in source.rows() if row.split is not None)
    yield from pack_rows(rows, lambda key, split: str(job.shard(key, split)))


class WriteShard(beam.DoFn):
    """(shard file, blocks of its rows) -> the outcome of writing it."""

    def __init__(self, job: BuildJob):
        self.job = job
        self._shared = Shared()

    def setup(self):
        # What is wrong with a picture goes to the dead letters, not across the progress bar.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        # The threads of a process share it: opening an archive reads its whole table.
        self._writer = self._shared.acquire(lambda: ShardWriter(self.job))

    def process(self, element: tuple[str, Iterable[bytes | None]]) -> Iterator[Outcome]:
        file, blocks = element
        rows = itertools.chain.from_iterable(map(unpack_rows, filter(None, blocks)))
        outcome = self._writer.write(file, rows)
        Metrics.counter("records", "written").inc(outcome.records)
        for reason, count in outcome.dead_letter_counts().items():
            Metrics.counter("dead_letters", reason).inc(count)
        yield outcome
