"""The pipeline that captions pictures: a graph whose steps read as prose."""

import hashlib
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import RunInference

from beam_jobs.captioning.handler import CaptionHandler, ShardPictures, ShardRows
from beam_jobs.captioning.job import CaptionJob, CaptionOutcome, merge
from beam_jobs.captioning.output import find_whole, publish_captions
from beam_jobs.files import write_whole
from beam_jobs.progress import count_pictures
from beam_jobs.shuffle import pack_values, unpack_values
from beam_jobs.staging import keep_receipt
from records.caption_manifest import CaptionShard
from records.caption_rows import encode_rows

_WHOLE = "whole"


def build_graph(pipeline: beam.Pipeline, job: CaptionJob) -> None:
    """Lay out the job. Paths of pictures travel through it; their bytes do not.

    The graph has the same size for any number of pictures and shards. Its last step publishes the
    captions: where it ran, they are complete, whether or not the launcher is still there.
    """
    shards = (
        pipeline
        | "Name the pattern" >> beam.Create([job.images], reshuffle=False)
        | "Match pictures" >> beam.FlatMap(paths_by_shard, job)
        | "Group pictures by shard" >> beam.GroupByKey()
        | "Pick out whole shards"
        >> beam.FlatMap(pick_out_whole, job).with_outputs(_WHOLE, main="missing")
    )
    written = (
        shards.missing
        | "Caption pictures" >> RunInference(CaptionHandler(job))
        | "Write shards" >> beam.Map(write_shard, job)
    )
    _ = (
        (shards[_WHOLE], written)
        | "Put together" >> beam.Flatten()
        | "Add up the outcomes" >> beam.CombineGlobally(merge)
        | "Publish the captions" >> beam.Map(publish_captions, job)
    )


def paths_by_shard(_: str, job: CaptionJob) -> Iterator[tuple[str, bytes | None]]:
    """Yield (shard, a block of its paths) until all pictures are through.

    A shard that no picture falls to is named too, with None: all of 00000..N-1 are written.
    """
    for file in job.shard_files():
        yield file, None
    yield from pack_values((job.shard(path), path) for path in job.paths())


def pick_out_whole(element: tuple[str, Iterable[bytes | None]], job: CaptionJob) -> Iterator:
    """Yield the pictures of a shard, or the outcome of an earlier run that wrote it whole."""
    file, blocks = element
    paths = sorted(path for block in blocks if block for path in unpack_values(block))
    outcome = find_whole(job, file)
    if outcome is None:
        yield ShardPictures(file, tuple(paths))
    else:
        count_pictures(job.progress_file, len(paths))
        yield beam.pvalue.TaggedOutput(_WHOLE, outcome)


def write_shard(shard: ShardRows, job: CaptionJob) -> CaptionOutcome:
    """Write a shard into the staging directory; its outcome is kept beside it for a later run."""
    content = encode_rows(shard.rows, job.format)
    write_whole(job.staged_path(shard.file), job.attempts, lambda file: file.write(content))
    digest = hashlib.sha256(content).hexdigest()
    outcome = CaptionOutcome(
        shards=(CaptionShard(shard.file, len(shard.rows), len(content), digest),),
        dead_letters=shard.dead_letters,
        embedding_size=len(shard.rows[0].embedding) if shard.rows and job.embeddings else None,
    )
    keep_receipt(job, shard.file, outcome.to_dict())
    Metrics.counter("captions", "written").inc(len(shard.rows))
    for letter in shard.dead_letters:
        Metrics.counter("dead_letters", letter.reason.value).inc()
    return outcome
