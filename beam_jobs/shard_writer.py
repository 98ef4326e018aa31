"""From rows of the source to one written shard: what a worker does, without Beam's machinery."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from beam_jobs.earlier import Earlier, EarlierShards, stored_records
from beam_jobs.files import write_whole
from beam_jobs.job import BuildJob
from beam_jobs.outcomes import Outcome, Tally
from beam_jobs.progress import count_pictures
from beam_jobs.stores import PictureStore, PictureUnreadable, open_store
from records.captions import CaptionSpec, clean_caption
from records.dead_letters import DeadLetter, Reason
from records.example import PictureRecord, encode_example
from records.index import encode_index
from records.manifest import ShardInfo
from records.pictures import PictureRejected, normalise_picture
from records.shards import ShardName
from records.sources import SourceRow
from records.tfrecord import write_records

# Rows of the source by key.
Pictures = Mapping[str, Sequence[SourceRow]]


class ShardWriter:
    """Writes the shards of a job; one for each worker process.

    Attributes:
        job: the run.
    """

    def __init__(self, job: BuildJob):
        self.job = job
        self._store = open_store(job.images)
        self._earlier = EarlierShards(job)

    def write(self, file: str, rows: Iterable[SourceRow]) -> Outcome:
        """Write one shard into the staging directory, unless an earlier run did.

        Args:
            file: name of the shard.
            rows: what belongs into it, in any order.

        Returns:
            the outcome, which is also kept beside the shard for a later run.
        """
        pictures: dict[str, list[SourceRow]] = {}
        for row in rows:
            pictures.setdefault(row.key, []).append(row)
        earlier = self._earlier.find(file, pictures)
        if earlier is None or (self.job.retry_failed and earlier.outcome.rejected):
            outcome = self.build(file, pictures, earlier)
        else:
            outcome = earlier.outcome
            count_pictures(self.job.progress_file, len(pictures))
        self._earlier.keep(file, outcome)
        return outcome

    def build(self, file: str, pictures: Pictures, earlier: Earlier | None = None) -> Outcome:
        """Write one shard and its index into the staging directory.

        Args:
            file: name of the shard.
            pictures: what belongs into it.
            earlier: an earlier build of it, whose records are kept; only the pictures that are
                not in it are read.
        """
        build = _Build(self.job, self._store, pictures, earlier)
        staged, attempts = self.job.staged_path, self.job.attempts
        written = write_whole(
            staged(file), attempts, lambda output: write_records(output, build.payloads())
        )
        name, index = ShardName.parse(file), encode_index(written.offsets)
        write_whole(staged(name.index_file), attempts, lambda output: output.write(index))
        info = ShardInfo(
            file,
            written.records,
            build.tally.captions,
            written.bytes,
            written.sha256,
            hashlib.sha256(index).hexdigest(),
        )
        return build.tally.outcome(info, build.dead_letters, name.split == "train")


class _Build:
    """Makes the payloads of a shard one by one; keeps count of what went in and what did not."""

    def __init__(
        self, job: BuildJob, store: PictureStore, pictures: Pictures, earlier: Earlier | None
    ):
        self.job, self.store, self.pictures = job, store, pictures
        self.kept = stored_records(earlier.path) if earlier else iter(())
        self.tally, self.dead_letters = Tally(), []

    def payloads(self) -> Iterator[bytes]:
        """Yield the records, sorted by key: as those of an earlier build are."""
        stored = next(self.kept, None)
        for key in sorted(self.pictures):
            if stored is not None and stored.filename == key:
                made, stored = self._keep(key, stored), next(self.kept, None)
            else:
                made = self._make(key)
            if isinstance(made, DeadLetter):
                self.dead_letters.append(made)
            else:
                self.tally.add(made)
                yield encode_example(made)
            count_pictures(self.job.progress_file, 1)

    def _keep(self, key: str, stored: PictureRecord) -> PictureRecord:
        """Return the earlier record; its rejected captions are named again."""
        self.dead_letters += keep_captions(key, self.pictures[key], self.job.caption)[1]
        return stored

    def _make(self, key: str) -> PictureRecord | DeadLetter:
        rows = self.pictures[key]
        if letter := refuse_rows(key, rows):
            return letter
        kept, letters = keep_captions(key, rows, self.job.caption)
        self.dead_letters += letters
        if not kept:
            return DeadLetter(key, Reason.NO_CAPTION, "all its captions were rejected")
        try:
            source = self.store.read(key)
            picture = normalise_picture(source, self.job.picture)
        except (PictureUnreadable, PictureRejected) as refused:
            return DeadLetter(key, refused.reason, refused.detail)
        return PictureRecord(
            encoded=picture.encoded,
            height=picture.height,
            width=picture.width,
            filename=key,
            source_id=min(row.source_id for row in rows),
            sha256=hashlib.sha256(source).hexdigest(),
            raw_captions=tuple(raw for raw, _ in kept),
            captions=tuple(cleaned for _, cleaned in kept),
        )


def refuse_rows(key: str, rows: Sequence[SourceRow]) -> DeadLetter | None:
    """Return why the source's word on a picture cannot be used; None where it can."""
    entries = {row.entry for row in rows}
    if len(entries) > 1:
        detail = f"{len(entries)} entries of the captions file have this name"
        return DeadLetter(key, Reason.DUPLICATE_KEY, detail)
    if all(row.caption is None for row in rows):
        return DeadLetter(key, Reason.NO_CAPTION, f"in split {rows[0].split}, but not captioned")
    return None


def keep_captions(
    key: str, rows: Sequence[SourceRow], spec: CaptionSpec
) -> tuple[list[tuple[str, str]], list[DeadLetter]]:
    """Clean the captions of a picture.

    Returns:
        (raw, cleaned) of each caption that is kept, sorted, since the order of the source must not
        show in the records; and a dead letter for each caption that is not.
    """
    kept, letters = [], []
    for raw in sorted(row.caption for row in rows if row.caption is not None):
        cleaned = clean_caption(raw, spec)
        if letter := refuse_caption(key, raw, len(cleaned.split()), spec):
            letters.append(letter)
        else:
            kept.append((raw, cleaned))
    return kept, letters


def refuse_caption(key: str, raw: str, words: int, spec: CaptionSpec) -> DeadLetter | None:
    """Return why a caption of so many words cannot be used; None where it can."""
    if words < spec.min_words:
        reason = Reason.CAPTION_TOO_SHORT if words else Reason.CAPTION_EMPTY
        detail = f"{words} words after cleaning, at least {spec.min_words} wanted"
    elif spec.max_words is not None and words > spec.max_words:
        reason = Reason.CAPTION_TOO_LONG
        detail = f"{words} words after cleaning, at most {spec.max_words} wanted"
    else:
        return None
    return DeadLetter(key, reason, detail, raw)
