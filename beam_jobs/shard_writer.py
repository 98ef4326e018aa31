"""From names and captions to one written shard: what a worker does, without Beam's machinery."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from apache_beam.io.filesystems import FileSystems

from beam_jobs.files import read_if_present, write_published
from beam_jobs.job import BuildJob
from beam_jobs.outcomes import CAPTION_EMPTY, MISSING, NO_CAPTION_LEFT, DeadLetter, Outcome
from beam_jobs.progress import count_picture
from records.captions import CaptionSpec, clean_caption
from records.example import PictureRecord, encode_example
from records.manifest import ShardInfo
from records.pictures import PictureRejected, PictureSpec, normalise_picture
from records.shards import ShardName
from records.tfrecord import write_records

# The key of a picture and its raw captions.
Pictured = tuple[str, Sequence[str]]


def write_shard(job: BuildJob, file: str, pictures: Iterable[Pictured]) -> Outcome:
    """Read, normalise and write the pictures of one shard, in the order of their keys.

    Args:
        job: the run.
        file: name of the shard.
        pictures: what belongs into it, in any order.
    """
    writer = _ShardWriter(job)
    written = write_published(
        job.output_path(file),
        job.staging,
        lambda output: write_records(output, writer.payloads(sorted(pictures))),
    )
    words = writer.caption_words
    info = ShardInfo(file, written.records, len(words), written.bytes, written.sha256)
    in_training = ShardName.parse(file).split == "train"
    return Outcome(
        shards=(info,),
        dead_letters=tuple(writer.dead_letters),
        word_counts=dict(writer.word_counts) if in_training else {},
        captions_per_picture=dict(writer.captions_per_picture),
        caption_words=sum(words),
        longest_caption=max(words, default=0),
    )


def keep_captions(
    key: str, raw_captions: Sequence[str], spec: CaptionSpec
) -> tuple[list[tuple[str, str]], list[DeadLetter]]:
    """Clean the captions of a picture.

    Returns:
        (raw, cleaned) of each caption that is kept, and a dead letter for each that is not.
    """
    kept, letters = [], []
    for raw in raw_captions:
        cleaned = clean_caption(raw)
        words = len(cleaned.split())
        if words >= spec.min_words:
            kept.append((raw, cleaned))
        else:
            detail = f"{words} words after cleaning, at least {spec.min_words} wanted"
            letters.append(DeadLetter(key, CAPTION_EMPTY, detail, raw))
    if not kept:
        letters.append(DeadLetter(key, NO_CAPTION_LEFT, "all its captions were rejected"))
    return kept, letters


def make_record(
    key: str, captions: Sequence[tuple[str, str]], source: bytes | None, spec: PictureSpec
) -> PictureRecord | DeadLetter:
    """Return the record of a picture, or why there is none.

    Args:
        key: the picture's file name.
        captions: (raw, cleaned) of each.
        source: the bytes of the picture file; None where it is missing.
        spec: the picture policy.
    """
    if source is None:
        return DeadLetter(key, MISSING, "no readable file of this name among the images")
    try:
        picture = normalise_picture(source, spec)
    except PictureRejected as rejected:
        return DeadLetter(key, rejected.reason.value, rejected.detail)
    return PictureRecord(
        encoded=picture.encoded,
        height=picture.height,
        width=picture.width,
        filename=key,
        source_id=key,
        sha256=hashlib.sha256(source).hexdigest(),
        raw_captions=tuple(raw for raw, _ in captions),
        captions=tuple(cleaned for _, cleaned in captions),
    )


class _ShardWriter:
    """Makes the payloads of a shard one by one and keeps count of what went in and what did not."""

    def __init__(self, job: BuildJob):
        self.job = job
        self.dead_letters: list[DeadLetter] = []
        self.word_counts: Counter[str] = Counter()
        self.captions_per_picture: Counter[int] = Counter()
        self.caption_words: list[int] = []

    def payloads(self, pictures: Iterable[Pictured]) -> Iterator[bytes]:
        for key, raw_captions in pictures:
            captions, letters = keep_captions(key, raw_captions, self.job.caption)
            self.dead_letters += letters
            if captions:
                source = read_if_present(FileSystems.join(self.job.images, key))
                made = make_record(key, captions, source, self.job.picture)
                if isinstance(made, DeadLetter):
                    self.dead_letters.append(made)
                else:
                    self._count(made)
                    yield encode_example(made)
            count_picture(self.job.progress_file)

    def _count(self, record: PictureRecord) -> None:
        self.captions_per_picture[len(record.captions)] += 1
        for caption in record.captions:
            words = caption.split()
            self.word_counts.update(words)
            self.caption_words.append(len(words))
