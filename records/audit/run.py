"""The audit itself: one pass over the records, then the search."""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from records.audit.captions import degenerate_captions, shared_captions
from records.audit.duplicates import AuditedPicture, duplicate_pairs, equal_caption_sets
from records.audit.marks import PictureMarks, picture_marks
from records.audit.report import Audit, Degeneracy, DegenerateCaption
from records.example import PictureRecord, decode_example
from records.manifest import Manifest, load_manifest
from records.tfrecord import CorruptRecord, Frame, scan_frames

# Pillow decodes without holding the interpreter: threads are enough. In flight per thread: enough
# that none waits for the reader, few enough that memory does not grow with the dataset.
_IN_FLIGHT = 8


def audit_dataset(
    directory: Path, progress: Callable[[int], object] = lambda records: None
) -> Audit:
    """Read every record of a dataset once and tell what is there twice or teaches nothing.

    Memory grows by about 2 KB a picture, and by the pairs found.

    Args:
        directory: of the dataset.
        progress: called with the number of records that are newly done.

    Raises:
        UserError: no directory, or no valid manifest.
        CorruptRecord: a damaged record, or one whose picture does not decode.
    """
    manifest = load_manifest(directory)
    pictures: list[AuditedPicture] = []
    degenerate: list[DegenerateCaption] = []
    captions: Counter[str] = Counter()
    for split, record, marks in _marked_records(directory, manifest):
        cleaned = frozenset(record.captions)
        pictures.append(AuditedPicture(split, record.filename, record.sha256, marks, cleaned))
        degenerate += degenerate_captions(
            split, record.filename, record.raw_captions, record.captions
        )
        captions[split] += len(record.captions)
        progress(1)
    pictures.sort(key=lambda picture: (picture.split, picture.key))
    kinds = list(Degeneracy)
    shared, carriers = shared_captions((each.split, each.captions) for each in pictures)
    return Audit(
        dataset=manifest.name,
        fingerprint=manifest.fingerprint,
        pictures=dict(Counter(picture.split for picture in pictures)),
        captions=dict(captions),
        duplicates=duplicate_pairs(pictures),
        shared_captions=shared,
        shared_caption_pictures=carriers,
        equal_caption_sets=equal_caption_sets(pictures),
        degenerate_captions=tuple(
            sorted(degenerate, key=lambda found: (kinds.index(found.kind), found.split, found.key))
        ),
    )


def _marked_records(
    directory: Path, manifest: Manifest
) -> Iterator[tuple[str, PictureRecord, PictureMarks]]:
    """Read the records in order, while threads decode the next ones."""
    threads = os.cpu_count() or 1
    pending: deque[Future] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for split in manifest.splits:
            for path in manifest.shard_paths(directory, split):
                for frame in scan_frames(path):
                    pending.append(
                        pool.submit(_marked, split, path, frame, manifest.picture.max_pixels)
                    )
                    if len(pending) > threads * _IN_FLIGHT:
                        yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _marked(
    split: str, path: Path, frame: Frame, max_pixels: int
) -> tuple[str, PictureRecord, PictureMarks]:
    try:
        record = decode_example(frame.payload)
    except ValueError as error:
        reason = f"is no picture record: {error}"
        raise CorruptRecord(str(path), frame.index, frame.offset, reason) from None
    try:
        marks = picture_marks(record.encoded, max_pixels)
    except ValueError as error:
        raise CorruptRecord(str(path), frame.index, frame.offset, str(error)) from None
    return split, record, marks
