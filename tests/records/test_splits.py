"""Split files."""

import pytest

from records.errors import UserError
from records.splits import parse_keys, parse_splits


def test_splits_that_are_there_are_read():
    files = {"train": b"a.jpg\r\nb.jpg\r\n\r\n", "val": b"\n  c.jpg  \nc.jpg"}
    assert parse_splits(files, "dir") == {"a.jpg": "train", "b.jpg": "train", "c.jpg": "val"}


def test_no_split_file_at_all():
    with pytest.raises(UserError, match=r"no split file in dir.*Flickr_8k\.trainImages\.txt"):
        parse_splits({}, "dir")


def test_a_picture_in_two_splits_is_refused():
    with pytest.raises(UserError, match=r"b\.jpg is in two splits of dir, train and test"):
        parse_splits({"train": b"a.jpg\nb.jpg\n", "test": b"b.jpg\n"}, "dir")


@pytest.mark.parametrize("line", [b"../a.jpg", b"x/a.jpg", b"caf\xe9.jpg", b"a\x00.jpg"])
def test_hostile_lines_are_named(line):
    with pytest.raises(UserError, match=r"ids\.txt, line 3"):
        parse_keys(b"a.jpg\n\n" + line + b"\n", "ids.txt")
