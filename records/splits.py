"""Splits: which picture is for training, which for validation, which for the test."""

from collections.abc import Mapping

from records.errors import UserError
from records.sources import check_key, decode_text

# As the authors of Flickr8k named them; any of the three may be absent.
SPLIT_FILES = {
    "train": "Flickr_8k.trainImages.txt",
    "val": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}


def parse_keys(content: bytes, name: str) -> list[str]:
    """Read a list of picture file names, one a line; blank lines do not count.

    Args:
        content: of the file, UTF-8.
        name: of the file, for messages.

    Raises:
        UserError: not UTF-8, or a line that is no plain file name.
    """
    keys = []
    for number, line in enumerate(decode_text(content, name).split("\n"), start=1):
        if key := line.strip():
            check_key(key, name, number)
            keys.append(key)
    return keys


def parse_splits(files: Mapping[str, bytes], directory: str) -> dict[str, str]:
    """Read the split files of a directory.

    Args:
        files: content of each of `SPLIT_FILES` that is there, by split.
        directory: where they are, for messages.

    Returns:
        the split of each picture, by file name.

    Raises:
        UserError: no split file at all, or a picture in two splits.
    """
    if not files:
        names = ", ".join(SPLIT_FILES.values())
        raise UserError(f"no split file in {directory}: put at least one of {names} there")
    split_of = {}
    for split, content in files.items():
        for key in parse_keys(content, f"{directory}/{SPLIT_FILES[split]}"):
            if split_of.setdefault(key, split) != split:
                raise UserError(
                    f"{key} is in two splits of {directory}, {split_of[key]} and {split}: "
                    "take it out of one"
                )
    return split_of
