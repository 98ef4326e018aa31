"""What comes back from the workers: small, and the same in whatever order it is merged."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from records.dead_letters import DeadLetter, count_reasons
from records.example import PictureRecord
from records.manifest import ShardInfo, Statistics


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a part of the job; `merge` adds parts up.

    Attributes:
        shards: the shards that were written.
        dead_letters: what was rejected.
        word_counts: occurrences of each word in the training split.
        captions_per_picture: number of pictures by number of captions.
        caption_words: words of all cleaned captions together.
        longest_caption: words of the longest of them.
    """

    shards: tuple[ShardInfo, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    word_counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    captions_per_picture: Mapping[int, int] = dataclasses.field(default_factory=dict)
    caption_words: int = 0
    longest_caption: int = 0

    @property
    def records(self) -> int:
        """Pictures in the shards."""
        return sum(shard.records for shard in self.shards)

    @property
    def rejected(self) -> int:
        """Pictures that are in no shard for what is wrong with them."""
        return sum(letter.concerns_picture for letter in self.dead_letters)

    def dead_letter_counts(self) -> dict[str, int]:
        """Return the number of dead letters by reason, sorted by reason."""
        return count_reasons(self.dead_letters)

    def statistics(self) -> Statistics:
        """Return the statistics of all records."""
        captions = sum(count * pictures for count, pictures in self.captions_per_picture.items())
        return Statistics(
            captions_per_picture=dict(sorted(self.captions_per_picture.items())),
            caption_words_mean=round(self.caption_words / max(1, captions), 4),
            caption_words_max=self.longest_caption,
        )

    def to_dict(self) -> dict:
        """Return the fields as JSON-ready values."""
        return dataclasses.asdict(self) | {
            "dead_letters": [letter.to_dict() for letter in self.dead_letters]
        }

    @classmethod
    def from_dict(cls, fields: dict) -> "Outcome":
        """Rebuild an outcome from `to_dict`, by way of JSON too."""
        per_picture = fields["captions_per_picture"]
        changed = {
            "shards": tuple(ShardInfo(**shard) for shard in fields["shards"]),
            "dead_letters": tuple(map(DeadLetter.from_dict, fields["dead_letters"])),
            "captions_per_picture": {int(count): n for count, n in per_picture.items()},
        }
        return cls(**fields | changed)


class Tally:
    """Counts the records of one shard as they are written or read.

    Attributes:
        captions: of the records so far.
        word_counts: occurrences of each word in them.
    """

    def __init__(self):
        self.captions = 0
        self.word_counts: Counter[str] = Counter()
        self._captions_per_picture: Counter[int] = Counter()
        self._words = self._longest = 0

    def add(self, record: PictureRecord) -> None:
        """Count one record."""
        self.captions += len(record.captions)
        self._captions_per_picture[len(record.captions)] += 1
        for caption in record.captions:
            words = caption.split()
            self.word_counts.update(words)
            self._words += len(words)
            self._longest = max(self._longest, len(words))

    def outcome(
        self, shard: ShardInfo, dead_letters: Sequence[DeadLetter], in_training: bool
    ) -> Outcome:
        """Return the outcome of the shard; only the training split's words count."""
        return Outcome(
            shards=(shard,),
            dead_letters=tuple(dead_letters),
            word_counts=dict(self.word_counts) if in_training else {},
            captions_per_picture=dict(self._captions_per_picture),
            caption_words=self._words,
            longest_caption=self._longest,
        )


def merge(outcomes: Iterable[Outcome]) -> Outcome:
    """Add up outcomes, in any order and any grouping (a Beam combiner)."""
    shards, dead_letters = [], []
    word_counts, captions_per_picture = Counter(), Counter()
    caption_words = longest_caption = 0
    for outcome in outcomes:
        shards.extend(outcome.shards)
        dead_letters.extend(outcome.dead_letters)
        word_counts.update(outcome.word_counts)
        captions_per_picture.update(outcome.captions_per_picture)
        caption_words += outcome.caption_words
        longest_caption = max(longest_caption, outcome.longest_caption)
    return Outcome(
        shards=tuple(shards),
        dead_letters=tuple(dead_letters),
        word_counts=dict(word_counts),
        captions_per_picture=dict(captions_per_picture),
        caption_words=caption_words,
        longest_caption=longest_caption,
    )
