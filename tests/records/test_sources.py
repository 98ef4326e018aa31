"""Caption files that are tables or token files, and everything that can be wrong with them."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.errors import UserError
from records.sources import Columns, SourceRow, parse_captions, parse_source

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
KEY = st.from_regex(r"[a-z0-9_]{1,8}\.(jpg|png)", fullmatch=True)


def parse_rows(text, **columns):
    content = text if isinstance(text, bytes) else text.encode()
    return list(parse_source(content, "captions.txt", Columns(**columns)))


def parse(text, **columns):
    return [(row.key, row.caption) for row in parse_rows(text, **columns)]


@given(st.lists(st.tuples(KEY, TEXT), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_kaggle_form_round_trip(rows, newline):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator=newline).writerows([("image", "caption"), *rows])
    assert parse(buffer.getvalue()) == rows


@given(st.lists(st.tuples(KEY, TEXT), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_token_form_round_trip(rows, newline):
    lines = [f"{key}#{number}\t{caption}{newline}" for number, (key, caption) in enumerate(rows)]
    assert parse("".join(lines)) == rows


@given(
    st.lists(
        st.tuples(TEXT, TEXT, KEY, st.sampled_from(["train", "val", ""])),
        min_size=1,
        max_size=5,
        unique_by=lambda row: row[2],
    ),
    st.sampled_from(",\t"),
)
def test_table_with_other_columns_round_trip(rows, delimiter):
    buffer = io.StringIO(newline="")
    header = ("", "text, raw", "file", "fold")
    csv.writer(buffer, delimiter=delimiter).writerows([header, *rows])
    assert parse_rows(buffer.getvalue(), image="file", caption="text, raw", split="fold") == [
        SourceRow(key, caption, split or None, key, 0) for _, caption, key, split in rows
    ]


def test_a_split_column_is_read_only_where_it_is_named():
    text = "image,caption,split\na.jpg,x, dev \n"
    assert [row.split for row in parse_rows(text)] == [None]
    assert [row.split for row in parse_rows(text, split="split")] == ["dev"]


def test_captions_alone_are_read_from_any_form_and_pictures_without_any_left_out():
    assert list(parse_captions(b"a.jpg#0\tx\n", "f")) == [("a.jpg", "x")]
    pictures = b'{"image": "a.jpg", "captions": []}\n{"image": "b.jpg", "captions": ["x", "y"]}'
    assert list(parse_captions(pictures, "f")) == [("b.jpg", "x"), ("b.jpg", "y")]


def test_quotes_and_commas():
    text = 'image,caption\na.jpg,"a ""stop"" sign, red"\nb.jpg,a "loose" quote\n'
    assert parse(text) == [("a.jpg", 'a "stop" sign, red'), ("b.jpg", 'a "loose" quote')]


def test_forms_are_told_apart_by_content_and_a_byte_order_mark_is_dropped():
    assert parse(b"\xef\xbb\xbfimage,caption\na.jpg,x\n") == [("a.jpg", "x")]
    assert parse(b"\xef\xbb\xbfa.jpg#0\tx\n") == [("a.jpg", "x")]


def test_ghost_picture_of_the_token_file_is_kept_as_it_is():
    assert parse("2258277193_586949ec62.jpg.1#0\tpeople\n") == [
        ("2258277193_586949ec62.jpg.1", "people")
    ]


def test_blank_lines_do_not_count_and_empty_captions_stay():
    assert parse("image,caption\n\na.jpg,\n\n") == [("a.jpg", "")]
    assert parse("a.jpg#0\t\n\nb.jpg#1\tx\n") == [("a.jpg", ""), ("b.jpg", "x")]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "captions.txt is empty"),
        (" \n\n", "captions.txt is empty"),
        ("image,caption\n", "no caption"),
        ("picture;text\n", "line 1: 'picture;text'"),
        ("image,caption\na.jpg,x\nb.jpg,x,y\n", "line 3: 3 columns"),
        ("image,caption\na.jpg\n", "line 2: 1 columns"),
        ('image,caption\na.jpg,"two\nlines"\nb.jpg\n', "line 4: 1 columns"),
        ('image,caption\na.jpg,x\nb.jpg,"never closed\n', "line 3: "),
        ('image,caption\na.jpg,"x"y\n', "line 2: "),
        ("image,caption,\na.jpg,x,\nb.jpg,x\n", "line 3: 2 columns instead of 3"),
        ("file\ttext\na.jpg\tx\n", "line 1: no column 'image'; there are 'file', 'text'"),
        ("image,caption,caption\na.jpg,x,y\n", "line 1: 2 columns 'caption'"),
        ('"image,caption\na.jpg,x\n', "line 1: "),
        ("a.jpg#0\tx\nb.jpg x\n", "line 2: 'b.jpg x'"),
        (b"image,caption\na.jpg,caf\xe9\n", "line 2: not UTF-8"),
        ("image,caption\na.jpg,x\n../b.jpg,x\n", "line 3: picture name '../b.jpg'"),
        ("image,caption\n..,x\n", "line 2: picture name"),
        ("image,caption\n,x\n", "line 2: picture name"),
        ("image,caption\na\\b.jpg,x\n", "line 2: picture name"),
        ("a.jpg#0\tx\n/etc/passwd#0\tx\n", "line 2: picture name"),
        ("a.jpg#0\tx\na\0.jpg#0\tx\n", "line 2: picture name"),
    ],
)
def test_malformed_files_are_one_line_that_names_the_place(text, complaint):
    with pytest.raises(UserError) as error:
        parse(text)
    assert complaint in str(error.value)
    assert "captions.txt" in str(error.value)
    assert "\n" not in str(error.value)


def test_names_of_columns_are_refused_where_they_would_have_no_effect():
    for text in ("a.jpg#0\tx\n", '{"images": [], "annotations": []}'):
        with pytest.raises(UserError, match=r"has no columns .*'fold'"):
            parse(text, split="fold")


@pytest.mark.parametrize("columns", [{"image": "x", "caption": "x"}, {"split": ""}])
def test_impossible_columns_are_refused(columns):
    with pytest.raises(ValueError, match="must have"):
        Columns(**columns)


@given(
    st.sampled_from([b"", b"image,caption\n", b"image\tcaption\n", b'"image",caption,"x']),
    st.binary(max_size=80) | st.text("a.jpg#0\t\n\r,\"'\0", max_size=40).map(str.encode),
)
def test_any_bytes_give_rows_or_a_user_error(opening, content):
    try:
        rows = parse(opening + content)
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert rows
