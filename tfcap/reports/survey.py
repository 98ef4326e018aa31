"""One pass over a dataset's records: everything that its card counts."""

import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from records.example import PictureRecord, decode_example
from records.manifest import Manifest
from records.tfrecord import CorruptRecord, scan_frames

SAMPLES = 6  # sample pictures of a split

# Sets the hash apart from those of `shard_of` and `HashSplits`: a sample of all shards alike.
_HASH_DOMAIN = b"sample:"


@dataclasses.dataclass(frozen=True)
class SplitSurvey:
    """What the records of one split hold, counted. Words are those of the cleaned captions.

    Attributes:
        pictures: number of pictures.
        word_counts: occurrences by word.
        caption_words: captions by their number of words.
        captions_per_picture: pictures by their number of captions.
        sizes: pictures by (width, height) as stored, in pixels.
        jpeg_kib: pictures by the size of the stored JPEG, in KiB, rounded up.
        sample_keys: keys of at most `SAMPLES` pictures, chosen by a hash of the key: always the
            same ones, and others for other datasets.
    """

    pictures: int
    word_counts: Mapping[str, int]
    caption_words: Mapping[int, int]
    captions_per_picture: Mapping[int, int]
    sizes: Mapping[tuple[int, int], int]
    jpeg_kib: Mapping[int, int]
    sample_keys: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """Words of all captions together."""
        return sum(self.word_counts.values())


@dataclasses.dataclass(frozen=True)
class Summary:
    """Key figures of a distribution; the quantiles are nearest ranks, so they occur in it."""

    least: int
    median: int
    mean: float
    percentile_95: int
    most: int


def survey_dataset(
    directory: Path, manifest: Manifest, progress: Callable[[int], None] = lambda pictures: None
) -> dict[str, SplitSurvey]:
    """Count what the records of a dataset hold. No picture is decoded.

    Memory grows with the number of different words, not with the number of pictures.

    Args:
        directory: of the dataset.
        manifest: its manifest.
        progress: called with the number of pictures done since the last call.

    Returns:
        the survey of each split, in the order of `manifest.splits`.

    Raises:
        CorruptRecord: a damaged record.
        OSError: a shard cannot be read.
    """
    return {
        split: survey_records(_read_split(manifest.shard_paths(directory, split), progress))
        for split in manifest.splits
    }


def survey_records(records: Iterable[PictureRecord]) -> SplitSurvey:
    """Count what records hold; they are consumed one at a time."""
    words, lengths, per_picture = Counter(), Counter(), Counter()
    sizes, jpeg_kib = Counter(), Counter()
    samples: list[tuple[bytes, str]] = []
    for record in records:
        for caption in record.captions:
            caption_words = caption.split()
            words.update(caption_words)
            lengths[len(caption_words)] += 1
        per_picture[len(record.captions)] += 1
        sizes[record.width, record.height] += 1
        jpeg_kib[math.ceil(len(record.encoded) / 1024)] += 1
        samples = sorted([*samples, (_sample_order(record.filename), record.filename)])[:SAMPLES]
    return SplitSurvey(
        pictures=sum(per_picture.values()),
        word_counts=words,
        caption_words=lengths,
        captions_per_picture=per_picture,
        sizes=sizes,
        jpeg_kib=jpeg_kib,
        sample_keys=tuple(key for _, key in samples),
    )


def summarise(counts: Mapping[int, int]) -> Summary | None:
    """Return the key figures of a distribution.

    Args:
        counts: occurrences by value.

    Returns:
        the figures; None where there is no value.
    """
    total = sum(counts.values())
    if not total:
        return None
    values = sorted(counts)

    def nearest_rank(share: float) -> int:
        rank = math.ceil(share * total)
        for value in values:
            rank -= counts[value]
            if rank <= 0:
                return value
        return values[-1]

    mean = sum(value * count for value, count in counts.items()) / total
    return Summary(values[0], nearest_rank(0.5), mean, nearest_rank(0.95), values[-1])


def by_frequency(word_counts: Mapping[str, int]) -> list[str]:
    """Return the words, frequent ones first, in the order of `build_vocabulary`."""
    return sorted(word_counts, key=lambda word: (-word_counts[word], word))


def _read_split(shards: Iterable[Path], progress: Callable[[int], None]) -> Iterator[PictureRecord]:
    for shard in shards:
        for frame in scan_frames(shard):
            try:
                record = _decode(frame.payload)
            except ValueError as error:
                reason = f"is no picture record: {error}"
                raise CorruptRecord(str(shard), frame.index, frame.offset, reason) from None
            yield record
            progress(1)


def _decode(payload: bytes) -> PictureRecord:
    record = decode_example(payload)
    if record.width < 1 or record.height < 1:
        raise ValueError(f"{record.filename} is {record.width}x{record.height}")
    return record


def _sample_order(key: str) -> bytes:
    return hashlib.sha256(_HASH_DOMAIN + key.encode()).digest()
