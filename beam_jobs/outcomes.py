"""What comes back from the workers: small, and the same in whatever order it is merged."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping

from records.manifest import ShardInfo, Statistics

MISSING = "missing"
CAPTION_EMPTY = "caption_empty"
NO_CAPTION_LEFT = "no_caption_left"
SPLIT_WITHOUT_CAPTIONS = "split_without_captions"


@dataclasses.dataclass(frozen=True)
class DeadLetter:
    """A picture or a caption that did not make it into the records.

    Attributes:
        key: the picture's file name.
        reason: one of the constants above or of `records.pictures.Rejection`.
        detail: the rest of it, in words.
        caption: the raw caption, where the reason concerns one.
    """

    key: str
    reason: str
    detail: str
    caption: str | None = None

    def to_json(self) -> str:
        """Return one line of `dead_letters.jsonl`."""
        fields = dataclasses.asdict(self)
        if self.caption is None:
            del fields["caption"]
        return json.dumps(fields, ensure_ascii=False)


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
        unassigned: captioned pictures that no split names.
    """

    shards: tuple[ShardInfo, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    word_counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    captions_per_picture: Mapping[int, int] = dataclasses.field(default_factory=dict)
    caption_words: int = 0
    longest_caption: int = 0
    unassigned: int = 0

    @property
    def records(self) -> int:
        """Pictures in the shards."""
        return sum(shard.records for shard in self.shards)

    def dead_letter_counts(self) -> dict[str, int]:
        """Return the number of dead letters by reason, sorted by reason."""
        return dict(sorted(Counter(letter.reason for letter in self.dead_letters).items()))

    def dead_letter_lines(self) -> list[str]:
        """Return the lines of `dead_letters.jsonl`, sorted by picture."""
        letters = sorted(
            self.dead_letters,
            key=lambda letter: (letter.key, letter.reason, letter.caption or "", letter.detail),
        )
        return [letter.to_json() for letter in letters]

    def statistics(self) -> Statistics:
        """Return the statistics of all records."""
        captions = sum(count * pictures for count, pictures in self.captions_per_picture.items())
        return Statistics(
            captions_per_picture=dict(sorted(self.captions_per_picture.items())),
            caption_words_mean=round(self.caption_words / max(1, captions), 4),
            caption_words_max=self.longest_caption,
        )


def merge(outcomes: Iterable[Outcome]) -> Outcome:
    """Add up outcomes, in any order and any grouping (a Beam combiner)."""
    shards, dead_letters = [], []
    word_counts, captions_per_picture = Counter(), Counter()
    caption_words = longest_caption = unassigned = 0
    for outcome in outcomes:
        shards.extend(outcome.shards)
        dead_letters.extend(outcome.dead_letters)
        word_counts.update(outcome.word_counts)
        captions_per_picture.update(outcome.captions_per_picture)
        caption_words += outcome.caption_words
        longest_caption = max(longest_caption, outcome.longest_caption)
        unassigned += outcome.unassigned
    return Outcome(
        shards=tuple(shards),
        dead_letters=tuple(dead_letters),
        word_counts=dict(word_counts),
        captions_per_picture=dict(captions_per_picture),
        caption_words=caption_words,
        longest_caption=longest_caption,
        unassigned=unassigned,
    )
