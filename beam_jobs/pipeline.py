"""The pipeline that builds records: a graph whose steps read as prose."""

import hashlib
import warnings
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.metrics import Metrics

from beam_jobs.files import write_published
from beam_jobs.job import BuildJob, read_captions_file, read_splits
from beam_jobs.outcomes import SPLIT_WITHOUT_CAPTIONS, DeadLetter, Outcome, merge
from beam_jobs.shard_writer import write_shard
from records.manifest import DEAD_LETTERS, MANIFEST, VOCABULARY, Manifest, SplitInfo
from records.shards import ShardName, shard_of
from records.sources import parse_captions
from records.vocabulary import build_vocabulary

_LEFT_OUT = "left_out"


def build_graph(pipeline: beam.Pipeline, job: BuildJob) -> None:
    """Lay out the job. Names and captions travel through it; the bytes of pictures do not.

    The last step writes the vocabulary, the dead letters and, last of all, the manifest: where it
    ran, the dataset is complete, whether or not the launcher is still there.
    """
    captions = (
        pipeline
        | "Name the captions file" >> beam.Create([job.captions], reshuffle=False)
        | "Read captions"
        >> beam.FlatMap(lambda path: parse_captions(read_captions_file(path), path))
    )
    splits = (
        pipeline
        | "Name the split directory" >> beam.Create([job.splits], reshuffle=False)
        | "Read splits" >> beam.FlatMap(lambda directory: read_splits(directory).items())
    )
    pictures = (
        {"captions": captions, "splits": splits}
        | "Join captions and split of each picture" >> beam.CoGroupByKey()
        | "Assign each picture to its shard"
        >> beam.ParDo(AssignShard(job)).with_outputs(_LEFT_OUT, main="assigned")
    )
    # A shard that no picture falls to exists too: all of 00000..N-1 are there.
    every_shard = pipeline | "Name every shard" >> beam.Create(
        [(file, None) for file in job.shard_files()], reshuffle=False
    )
    written = (
        (pictures.assigned, every_shard)
        | "Put pictures and shards together" >> beam.Flatten()
        | "Group pictures by shard" >> beam.GroupByKey()
        | "Normalise pictures and write shards" >> beam.ParDo(WriteShard(job))
    )
    _ = (
        (written, pictures[_LEFT_OUT])
        | "Put all outcomes together" >> beam.Flatten()
        | "Add up the outcomes" >> beam.CombineGlobally(merge)
        | "Write vocabulary, dead letters and manifest" >> beam.Map(publish_dataset, job)
    )


class AssignShard(beam.DoFn):
    """Joined (key, captions and splits) -> (shard file, (key, captions)); the rest -> left out."""

    def __init__(self, job: BuildJob):
        self.job = job

    def process(self, element: tuple[str, dict[str, Iterable[str]]]) -> Iterator:
        key, joined = element
        # Sorted: the order of the caption file must not show in the records.
        captions, splits = sorted(joined["captions"]), list(joined["splits"])
        if not splits:
            yield beam.pvalue.TaggedOutput(_LEFT_OUT, Outcome(unassigned=1))
        elif not captions:
            letter = DeadLetter(key, SPLIT_WITHOUT_CAPTIONS, f"no caption; split {splits[0]}")
            outcome = Outcome(dead_letters=(letter,))
            count_dead_letters(outcome)
            yield beam.pvalue.TaggedOutput(_LEFT_OUT, outcome)
        else:
            count = self.job.shard_counts[splits[0]]
            shard = ShardName(self.job.name, splits[0], shard_of(key, count), count)
            yield str(shard), (key, captions)


class WriteShard(beam.DoFn):
    """(shard file, its pictures) -> the outcome of writing it."""

    def __init__(self, job: BuildJob):
        self.job = job

    def setup(self):
        # What is wrong with a picture goes to the dead letters, not across the progress bar.
        warnings.filterwarnings("ignore", module=r"PIL\.")

    def process(self, element: tuple[str, Iterable]) -> Iterator[Outcome]:
        file, pictures = element
        outcome = write_shard(self.job, file, filter(None, pictures))
        Metrics.counter("records", "written").inc(outcome.records)
        count_dead_letters(outcome)
        yield outcome


def count_dead_letters(outcome: Outcome) -> None:
    """Show the dead letters among the job's counters, by reason."""
    for reason, count in outcome.dead_letter_counts().items():
        Metrics.counter("dead_letters", reason).inc(count)


def publish_dataset(outcome: Outcome, job: BuildJob) -> None:
    """Write what stands beside the shards; without any record, only the dead letters."""
    _write_text(job, DEAD_LETTERS, "".join(f"{line}\n" for line in outcome.dead_letter_lines()))
    if outcome.records:
        vocabulary = build_vocabulary(outcome.word_counts, job.min_count).to_text()
        _write_text(job, VOCABULARY, vocabulary)
        _write_text(job, MANIFEST, make_manifest(job, outcome, vocabulary).to_json())


def make_manifest(job: BuildJob, outcome: Outcome, vocabulary: str) -> Manifest:
    """Return the manifest of a finished job.

    Args:
        job: the run.
        outcome: of all of it.
        vocabulary: the text of the vocabulary file.
    """
    shards = sorted(outcome.shards, key=lambda shard: shard.file)
    return Manifest(
        name=job.name,
        picture=job.picture,
        caption=job.caption,
        min_count=job.min_count,
        vocabulary_size=vocabulary.count("\n"),
        vocabulary_sha256=hashlib.sha256(vocabulary.encode()).hexdigest(),
        split_infos={
            split: SplitInfo(
                tuple(shard for shard in shards if ShardName.parse(shard.file).split == split)
            )
            for split in job.shard_counts
        },
        unassigned=outcome.unassigned,
        dead_letters=outcome.dead_letter_counts(),
        statistics=outcome.statistics(),
    )


def _write_text(job: BuildJob, file: str, text: str) -> None:
    write_published(
        job.output_path(file), job.staging, lambda output: output.write(text.encode("utf-8"))
    )
