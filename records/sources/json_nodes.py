"""JSON from strangers: values that know where they stand, so that messages can say it."""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from records.errors import UserError
from records.sources.text import quote_names

_MAX_ID = 2**63  # TensorFlow's and most databases' largest integer
_MAX_ID_LENGTH = 255
_SURROGATE = re.compile("[\ud800-\udfff]")
_BLANKS = re.compile(r"[ \t\r\n]*")
# A string, which is stepped over, or a number that Python's decoder or this module refuses.
_STRING_OR_BAD_NUMBER = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*"|(?P<number>NaN|-?Infinity|-?\d{640,})', re.DOTALL
)


class Node(NamedTuple):
    """A value of a JSON text.

    Attributes:
        value: as `json` decodes it.
        file: and the line, where there is a value a line.
        path: from the root, such as "images[12].filename"; "" for the root itself.
    """

    value: object
    file: str
    path: str = ""

    @property
    def place(self) -> str:
        """Where the value stands, for messages."""
        return f"{self.file}, {self.path}" if self.path else self.file

    def __contains__(self, name: str) -> bool:
        return isinstance(self.value, dict) and name in self.value

    def field(self, name: str, remedy: str = "add it") -> "Node":
        """Return a field of an object; raises UserError where there is none of that name."""
        if not isinstance(self.value, dict):
            raise self._mistake("an object")
        child = f"{self.path}.{name}" if self.path else name
        if name not in self.value:
            raise UserError(
                f"{self.file}, {child[:120]} is missing; there are {quote_names(self.value)}: "
                + remedy
            )
        return Node(self.value[name], self.file, child)

    def items(self) -> Iterator["Node"]:
        """Yield the items of a list; raises UserError for anything else."""
        if not isinstance(self.value, list):
            raise self._mistake("a list")
        for index, item in enumerate(self.value):
            yield Node(item, self.file, f"{self.path}[{index}]")

    def text(self) -> str:
        """Return a string; raises UserError for anything else, and for half a character."""
        if not isinstance(self.value, str):
            raise self._mistake("a string")
        if half := _SURROGATE.search(self.value):
            raise UserError(
                f"{self.place} holds {half[0]!r}, half a character: write the other half too"
            )
        return self.value

    def identifier(self) -> str:
        """Return an integer or a short string as a string; raises UserError for anything else."""
        value = self.value
        if isinstance(value, int) and not isinstance(value, bool) and -_MAX_ID <= value < _MAX_ID:
            return str(value)
        if isinstance(value, str) and value.isprintable() and 0 < len(value) <= _MAX_ID_LENGTH:
            return value
        raise self._mistake("a 64-bit integer or a short string")

    def _mistake(self, wanted: str) -> UserError:
        containers = {dict: "an object", list: "a list"}
        found = containers.get(type(self.value)) or repr(self.value)[:60]
        return UserError(f"{self.place} is {found}: write {wanted} there")


def decode_json(text: str, name: str, line: int = 1) -> tuple[object, int]:
    """Decode the JSON value that a text begins with, whatever follows it.

    Args:
        text: blanks may come first.
        name: of the file, for messages.
        line: of the file that the text begins in.

    Returns:
        the value, and the index in `text` after it.

    Raises:
        UserError: not JSON; NaN, infinity and integers of many hundred digits are not.
    """
    start = _BLANKS.match(text).end()
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        place = f"{name}, line {line + error.lineno - 1}, column {error.colno}"
        raise UserError(f"{place}: not JSON ({error.msg.rstrip(': ')}): correct it") from None
    except RecursionError:
        raise UserError(
            f"{name}, from line {line + text.count(chr(10), 0, start)}: nested too deeply for a "
            "caption file: check that it is one"
        ) from None
    except ValueError:
        numbers = (match for match in _STRING_OR_BAD_NUMBER.finditer(text) if match["number"])
        number = next(numbers)
        line += text.count("\n", 0, number.start())
        column = number.start() - text.rfind("\n", 0, number.start())
        raise UserError(
            f"{name}, line {line}, column {column}: {number[0][:20]} is no number of JSON's: "
            "correct it"
        ) from None


def _refuse_constant(word: str) -> None:
    raise ValueError(word)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
