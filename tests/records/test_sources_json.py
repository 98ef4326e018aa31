"""Caption sources in JSON: Karpathy's, COCO's and JSONL, and everything that can be wrong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.errors import UserError
from records.sources import Columns, SourceRow, parse_source

TEXT = st.text(max_size=30)
KEY = st.from_regex(r"[a-z0-9_]{1,8}\.(jpg|png)", fullmatch=True)
PICTURES = st.lists(st.tuples(KEY, st.lists(TEXT, max_size=3)), min_size=1, max_size=5).filter(
    lambda pictures: any(captions for _, captions in pictures)
)
INDENT = st.sampled_from([None, 0, 2])


def parse(text, **columns):
    content = text if isinstance(text, bytes) else text.encode()
    return list(parse_source(content, "source.json", Columns(**columns)))


def karpathy(pictures):
    images = [
        {
            "filename": key,
            "imgid": index,
            "split": "restval",
            "sentences": [{"raw": caption, "tokens": []} for caption in captions],
        }
        for index, (key, captions) in enumerate(pictures)
    ]
    return {"images": images, "dataset": "flickr8k"}


def coco(pictures):
    pairs = [(index, text) for index, (_, texts) in enumerate(pictures) for text in texts]
    return {
        "annotations": [{"image_id": 7 * index, "caption": text} for index, text in pairs],
        "images": [{"id": 7 * index, "file_name": key} for index, (key, _) in enumerate(pictures)],
    }


def expected_rows(pictures, split, source_id):
    return [
        SourceRow(key, caption, split, source_id(index), index + 1)
        for index, (key, captions) in enumerate(pictures)
        for caption in captions or [None]
    ]


@given(PICTURES, INDENT, st.booleans())
def test_karpathy_form_round_trip(pictures, indent, ascii_only):
    text = json.dumps(karpathy(pictures), indent=indent, ensure_ascii=ascii_only)
    assert parse(text) == expected_rows(pictures, "restval", str)


@given(PICTURES, INDENT, st.booleans())
def test_coco_form_round_trip(pictures, indent, ascii_only):
    text = json.dumps(coco(pictures), indent=indent, ensure_ascii=ascii_only)
    assert parse(text) == expected_rows(pictures, None, lambda index: str(7 * index))


@given(PICTURES, st.booleans(), st.sampled_from(["captions", "texts"]))
def test_jsonl_with_an_entry_a_picture_round_trip(pictures, ascii_only, field):
    lines = [
        json.dumps({"id": f"n{index}", field: captions, "file": key}, ensure_ascii=ascii_only)
        for index, (key, captions) in enumerate(pictures)
    ]
    rows = parse("\n".join(lines), image="file", caption="texts")
    assert rows == expected_rows(pictures, None, lambda index: f"n{index}")


@given(st.lists(st.tuples(KEY, TEXT), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n\n"]))
def test_jsonl_with_a_line_a_caption_round_trip(rows, newline):
    lines = [json.dumps({"image": key, "caption": text, "fold": "a"}) for key, text in rows]
    assert parse(newline.join(lines), split="fold") == [
        SourceRow(key, text, "a", key, 0) for key, text in rows
    ]


def test_captions_of_a_coco_picture_are_gathered_and_ids_may_be_strings():
    text = """{"images": [{"id": 1, "file_name": "a.jpg"}, {"id": "b", "file_name": "b.jpg"}],
        "annotations": [{"image_id": "b", "caption": "x"}, {"image_id": 1, "caption": "y"},
                        {"image_id": "b", "caption": "z"}]}"""
    assert parse(text) == [
        ("a.jpg", "y", None, "1", 1),
        ("b.jpg", "x", None, "b", 2),
        ("b.jpg", "z", None, "b", 2),
    ]


def test_two_entries_for_one_picture_are_told_apart():
    text = '{"image": "a.jpg", "captions": ["x", "y"]}\n\n{"image": "a.jpg", "captions": ["x"]}'
    assert [row.entry for row in parse(text)] == [1, 1, 2]


def test_optional_fields_may_be_absent_and_a_null_split_is_none():
    text = '\ufeff{"images": [{"filename": "a.jpg", "sentences": [{"raw": "x"}]}]}'
    assert parse(text) == [("a.jpg", "x", None, "a.jpg", 1)]
    text = '{"image": "a.jpg", "caption": "x", "fold": null, "split": "train"}'
    assert parse(text, split="fold") == [("a.jpg", "x", None, "a.jpg", 0)]


def test_jsonl_may_hold_a_field_called_images():
    assert parse('{"image": "a.jpg", "caption": "x", "images": 3}')[0].key == "a.jpg"
    assert parse('{"images": "a.jpg", "caption": "x"}', image="images")[0].key == "a.jpg"


def karpathy_image(**fields):
    image = {"filename": "a.jpg", "sentences": [{"raw": "x"}]} | fields
    return json.dumps({"images": [image]})


def coco_text(image=None, annotation=None):
    images = [{"id": 1, "file_name": "a.jpg"}, *([image] if image else [])]
    return json.dumps({"images": images, "annotations": [annotation] if annotation else []})


def jsonl_line(**fields):
    return "\n" + json.dumps({"image": "a.jpg", "caption": "x"} | fields)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"images": 3}', ", images is 3: write a list there"),
        ('{"images": []}', " holds no caption"),
        ('{"images": [null]}', ", images[0] is None: write an object there"),
        ('{"images": [{"file_name": "a.jpg"}]}', ", images[0].filename is missing"),
        (karpathy_image(filename=["a.jpg"]), ", images[0].filename is a list: write a string"),
        (karpathy_image(filename="../a.jpg"), ", images[0].filename: picture name '../a.jpg'"),
        (karpathy_image(imgid=True), ", images[0].imgid is True: write a 64-bit integer"),
        (karpathy_image(imgid=2**63), ", images[0].imgid is 9223372036854775808: write"),
        (karpathy_image(split=1), ", images[0].split is 1: write a string"),
        (karpathy_image(sentences={"raw": "x"}), ", images[0].sentences is an object: write a"),
        (karpathy_image(sentences=[{"raw": None}]), ", images[0].sentences[0].raw is None"),
        (karpathy_image(sentences=[]), " holds no caption"),
        (karpathy_image() + "\n{}", ", line 2: text after the end"),
        (coco_text({"id": 1, "file_name": "b.jpg"}), ", images[1].id: 1 is there already"),
        (coco_text({"id": "", "file_name": "b.jpg"}), ", images[1].id is '': write a 64-bit"),
        (coco_text({"id": 2, "file_name": "a\0.jpg"}), ", images[1].file_name: picture name"),
        (coco_text({"id": 2}), ", images[1].file_name is missing; there are 'id'"),
        (coco_text(None, {"image_id": 5, "caption": "x"}), ", annotations[0].image_id: '5' is"),
        (coco_text(None, {"image_id": [], "caption": "x"}), ", annotations[0].image_id is a list"),
        (coco_text(None, {"image_id": 1, "bbox": []}), ", annotations[0].caption is missing"),
        (coco_text(), " holds no caption"),
        (jsonl_line(image=None), ", line 2, image is None: write a string"),
        (jsonl_line(image="/etc/passwd"), ", line 2, image: picture name"),
        (jsonl_line(caption=None), ", line 2, caption is None: write a string"),
        (jsonl_line(caption=["x", 1]), ", line 2, caption[1] is 1: write a string"),
        (jsonl_line(captions=["x"]), ", line 2 has both 'caption', 'captions'"),
        (jsonl_line(id=1.5), ", line 2, id is 1.5: write a 64-bit integer"),
        (jsonl_line(id="x" * 300), ", line 2, id is 'xxx"),
        (jsonl_line(caption="\ud83d"), r", line 2, caption holds '\ud83d'"),
        (jsonl_line() + "{}", ", line 2: "),
        (jsonl_line() + "\n[1]", ", line 3: '[1]' is not one JSON object"),
        ('{"file": "a.jpg", "caption": ""}', ", line 1, image is missing; there are 'file'"),
        ('{"image": "a.jpg", "text": ""}', ", line 1, caption is missing; there are 'image'"),
        ('{"image": "a.jpg", "captions": []}', " holds no caption"),
        (jsonl_line() + '\n{"image": "a.jpg",}', ", line 3, column "),
        ('{"images": [\n{"id" 1}]}', ", line 2, column 7: not JSON"),
        ('{"images": [\n"NaN", NaN]}', ", line 2, column 8: NaN is no number"),
        ('{"images": "\\"", "x":\n-Infinity}', ", line 2, column 1: -Infinity is no number"),
        ('{"images": [' + "9" * 10_000 + "]}", ", line 1, column 13: 9999"),
        (jsonl_line() + '\n{"image": NaN}', ", line 3, column 11: NaN is no number"),
        ('{"images": ' + "[" * 100_000, ", from line 1: nested too deeply"),
        (jsonl_line() + "\n" + '{"a":' * 100_000, ", from line 3: nested too deeply"),
        (b'{"images": [\n"caf\xe9"]}', ", line 2: not UTF-8"),
    ],
)
def test_malformed_sources_are_one_line_that_names_the_place(text, complaint):
    with pytest.raises(UserError) as error:
        parse(text)
    assert f"source.json{complaint}" in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_a_missing_split_field_is_named():
    with pytest.raises(UserError, match=r"line 1, fold is missing; there are 'image', 'caption'"):
        parse('{"image": "a.jpg", "caption": "x"}', split="fold")


OPENINGS = [
    b"{",
    b'{"images": [',
    b'{"images": [{"filename": "a.jpg", "sentences": [',
    b'{"annotations": [], "images": [',
    b'{"image": "a.jpg", "caption": "x"}\n',
    b'{"image": "a.jpg", ',
]
WORDS = ["id", "image_id", "caption", "captions", "image", "images", "annotations", "a.jpg"]
WORDS += ["file_name", "filename", "sentences", "raw", "\ud800"]
SNIPPETS = st.sampled_from([*'{}[],:"\\\n', "1", "-1e9", "NaN", "null", *map(json.dumps, WORDS)])


@given(
    st.sampled_from(OPENINGS),
    st.binary(max_size=60) | st.lists(SNIPPETS, max_size=20).map(lambda s: "".join(s).encode()),
)
def test_any_bytes_give_rows_or_a_user_error(opening, content):
    try:
        rows = parse(opening + content)
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert any(row.caption is not None for row in rows)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.data())
def test_any_value_in_the_place_of_another_gives_rows_or_a_user_error(data):
    pictures = [("a.jpg", ["x", "y"]), ("b.jpg", [])]
    line = {"image": "a.jpg", "captions": ["x"], "id": 1}
    document = data.draw(st.sampled_from([karpathy(pictures), coco(pictures), line]))
    node = document
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        if not (isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans())):
            break
        node = node[key]
    node[key] = data.draw(JSON_VALUES)
    try:
        rows = parse(json.dumps(document))
    except UserError as error:
        assert "source.json" in str(error)
        return
    assert all(isinstance(row.key, str) and isinstance(row.source_id, str) for row in rows)
