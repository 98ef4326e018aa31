"""Rows of captions and their manifest: written, read again, refused when they are damaged."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.caption_manifest import (
    CaptionManifest,
    CaptionShard,
    load_caption_manifest,
    read_captions,
)
from records.caption_rows import (
    FORMATS,
    CaptionRow,
    decode_line,
    decode_row,
    encode_line,
    encode_row,
    encode_rows,
    is_shard_name,
    shard_name,
)
from records.captions import CaptionSpec
from records.errors import UserError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
FLOAT = st.floats(width=32, allow_nan=False, allow_infinity=False)
ROWS = st.builds(
    CaptionRow, TEXT, TEXT, TEXT, FLOAT, st.none() | st.lists(FLOAT, max_size=9).map(tuple)
)
ROW = CaptionRow("photos/a.jpg", "0" * 64, "a dog", -1.5, (0.5, 2.0))


@given(ROWS)
def test_a_row_is_read_as_it_was_written_in_either_form(row):
    line = encode_line(row)
    assert line.endswith(b"\n") and b"\n" not in line[:-1]
    assert decode_line(line) == row
    assert decode_row(encode_row(row)) == row


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"{}", b'{"path": 1', encode_line(ROW).replace(b"-1.5", b'"x"')]
)
def test_a_line_that_is_no_row(line):
    with pytest.raises(ValueError):
        decode_line(line)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_row_are_a_value_error(content):
    for decode in (decode_line, decode_row):
        with pytest.raises(ValueError):
            decode(content)


@pytest.mark.parametrize("format_", FORMATS)
def test_shard_names(format_):
    assert is_shard_name(shard_name(3, 12, format_))
    assert shard_name(3, 12, format_) == f"captions-00003-of-00012.{format_}"
    assert not is_shard_name(f"captions-3-of-12.{format_}")


def write(directory, format_):
    content = encode_rows([ROW, dataclasses.replace(ROW, path="b")], format_)
    file = shard_name(0, 1, format_)
    (directory / file).write_bytes(content)
    manifest = CaptionManifest(
        images="photos/*",
        plan={"format": format_},
        card={"caption": CaptionSpec(digits="mask").to_dict()},
        shards=(CaptionShard(file, 2, len(content), "0" * 64),),
        embedding_size=2,
        rejected=1,
        dead_letters={"missing": 1},
    )
    (directory / "manifest.json").write_text(manifest.to_json())
    return manifest


@pytest.mark.parametrize("format_", FORMATS)
def test_a_directory_of_captions(tmp_path, format_):
    written = write(tmp_path, format_)
    manifest = load_caption_manifest(tmp_path)
    assert manifest == written and manifest.rows == 2
    assert manifest.cleaning == CaptionSpec(digits="mask")
    assert [row.path for row in read_captions(tmp_path, manifest)] == ["photos/a.jpg", "b"]
    (shard,) = tmp_path.glob("captions-*")
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(UserError, match="missing or damaged"):
        list(read_captions(tmp_path, manifest))
    shard.unlink()
    with pytest.raises(UserError, match="missing or damaged"):
        list(read_captions(tmp_path, manifest))


def test_what_is_no_manifest_of_captions(tmp_path):
    with pytest.raises(UserError, match="holds no captions"):
        load_caption_manifest(tmp_path)
    fields = json.loads(write(tmp_path, "jsonl").to_json())
    for changed in ({"kind": "dataset"}, {"plan": {}}, {"shards": 3}, {"fingerprint": "f"}):
        (tmp_path / "manifest.json").write_text(json.dumps(fields | changed))
        with pytest.raises(UserError, match="no manifest of captions"):
            load_caption_manifest(tmp_path)
