"""Dead letters: the pictures and captions that did not make it into the records, and why."""

import dataclasses
import enum
import json
from collections import Counter
from collections.abc import Iterable

from records.errors import UserError


class Reason(str, enum.Enum):
    """Why a picture or a caption is left out; `DeadLetter.detail` has the particulars."""

    # Of a picture's file.
    MISSING = "missing"
    UNDECODABLE = "undecodable"
    TRUNCATED = "truncated"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    UNSUPPORTED_FORMAT = "unsupported_format"
    # Of what the source says about a picture.
    DUPLICATE_KEY = "duplicate_key"
    NO_CAPTION = "no_caption"
    # Of one caption; the picture keeps the others.
    CAPTION_EMPTY = "caption_empty"
    CAPTION_TOO_SHORT = "caption_too_short"
    CAPTION_TOO_LONG = "caption_too_long"

    def __str__(self):
        return self.value


OF_CAPTIONS = frozenset((Reason.CAPTION_EMPTY, Reason.CAPTION_TOO_SHORT, Reason.CAPTION_TOO_LONG))


@dataclasses.dataclass(frozen=True)
class DeadLetter:
    """A picture or a caption that is in no record.

    Attributes:
        key: the picture's file name.
        reason: the class of the reason.
        detail: the rest of it, in words.
        caption: the raw caption, where the reason concerns one.
    """

    key: str
    reason: Reason
    detail: str
    caption: str | None = None

    @property
    def concerns_picture(self) -> bool:
        """Whether the picture as a whole is left out."""
        return self.reason not in OF_CAPTIONS

    @property
    def sort_key(self) -> tuple:
        """What dead letters are sorted by: the picture first."""
        return self.key, self.reason.value, self.caption or "", self.detail

    def to_dict(self) -> dict:
        """Return the fields as JSON-ready values; without `caption` where there is none."""
        fields = dataclasses.asdict(self) | {"reason": self.reason.value}
        if self.caption is None:
            del fields["caption"]
        return fields

    @classmethod
    def from_dict(cls, fields: dict) -> "DeadLetter":
        """Rebuild a dead letter from `to_dict`; raises ValueError or TypeError for other fields."""
        return cls(**fields | {"reason": Reason(fields.get("reason"))})


def count_reasons(letters: Iterable[DeadLetter]) -> dict[str, int]:
    """Return the number of dead letters by reason, sorted by reason."""
    return dict(sorted(Counter(letter.reason.value for letter in letters).items()))


def dead_letter_lines(letters: Iterable[DeadLetter]) -> str:
    """Return the text of `dead_letters.jsonl`: a JSON object a line, sorted by picture."""
    ordered = sorted(letters, key=lambda letter: letter.sort_key)
    return "".join(json.dumps(letter.to_dict(), ensure_ascii=False) + "\n" for letter in ordered)


def parse_dead_letters(text: str, name: str) -> list[DeadLetter]:
    """Read the text of `dead_letters.jsonl`.

    Args:
        text: of the file.
        name: of the file, for messages.

    Raises:
        UserError: a line that is no dead letter.
    """
    letters = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line:
            try:
                letters.append(DeadLetter.from_dict(json.loads(line)))
            except (ValueError, TypeError, AttributeError, RecursionError):
                raise UserError(
                    f"{name}, line {number}, is no dead letter: build the dataset again"
                ) from None
    return letters
