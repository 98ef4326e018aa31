"""The JSON schema of `manifest.json`: it takes what is written and refuses what cannot be read."""

import copy
import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import records
from records import captions
from records.captions import CaptionSpec
from records.dead_letters import Reason
from records.errors import UserError
from records.manifest import Manifest, ShardInfo, SourceInfo, SplitInfo, Statistics
from records.pictures import PictureSpec
from records.shards import ShardName

jsonschema = pytest.importorskip(
    "jsonschema", reason="validates schemas: pip install -e '.[dev]' brings it"
)

SCHEMA = json.loads(Path(records.__file__).with_name("manifest.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
OPEN = ("dead_letters", "captions_per_picture", "splits")  # their keys come and go


def shards(split, count):
    return tuple(
        ShardInfo(str(ShardName("tiny", split, number, count)), 1, 2, 300, "a" * 64, "b" * 64)
        for number in range(count)
    )


MANIFEST = Manifest(
    name="tiny",
    picture=PictureSpec(),
    caption=CaptionSpec(max_words=50),
    vocabulary_size=6,
    vocabulary_sha256="c" * 64,
    split_infos={"train": SplitInfo(shards("train", 2)), "val": SplitInfo(shards("val", 1))},
    source=SourceInfo(5, 10, "d" * 64, 1),
    rejected=2,
    dead_letters={"missing": 1, "caption_empty": 3},
    statistics=Statistics({2: 3}, 2.5, 3),
)
FIELDS = json.loads(MANIFEST.to_json())


def paths(value, path=()):
    """Return the path of every value within a JSON value."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, child in children:
        found.append((*path, key))
        if isinstance(child, dict | list):
            found += paths(child, (*path, key))
    return found


def parent_of(fields, path):
    for key in path[:-1]:
        fields = fields[key]
    return fields


def refused_for_structure(fields):
    try:
        Manifest.from_json(json.dumps(fields), "manifest.json")
    except UserError as error:
        return "was edited" not in str(error)
    return False


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_manifest_is_valid():
    VALIDATOR.validate(FIELDS)
    unlimited = dataclasses.replace(MANIFEST, caption=CaptionSpec(), dead_letters={})
    VALIDATOR.validate(json.loads(unlimited.to_json()))


@given(st.sampled_from([path for path in paths(FIELDS) if isinstance(path[-1], str)]))
def test_no_key_can_be_missing(path):
    fields = copy.deepcopy(FIELDS)
    del parent_of(fields, path)[path[-1]]
    assert (len(path) > 1 and path[-2] in OPEN) or not VALIDATOR.is_valid(fields)


@given(st.sampled_from([(), *paths(FIELDS)]))
def test_no_key_can_be_added(path):
    fields = copy.deepcopy(FIELDS)
    target = parent_of(fields, (*path, None))
    if isinstance(target, dict):
        target["more"] = 1
        assert not VALIDATOR.is_valid(fields)


@given(
    st.sampled_from(paths(FIELDS)),
    st.sampled_from([None, True, -1, 0, 0.5, "", "x", "../x", "A" * 64, "a" * 64 + "\n", [], {}]),
)
def test_what_cannot_be_read_is_not_valid(path, value):
    fields = copy.deepcopy(FIELDS)
    parent_of(fields, path)[path[-1]] = value
    if refused_for_structure(fields):
        assert not VALIDATOR.is_valid(fields)


@pytest.mark.parametrize("path", [p for p in paths(FIELDS) if p[-1] not in OPEN], ids=str)
def test_every_value_has_a_type(path):
    """Unlike the program, which notices some of them by the fingerprint only."""
    for other in (["x"], {"x": ["y"]}):
        fields = copy.deepcopy(FIELDS)
        parent_of(fields, path)[path[-1]] = other
        assert not VALIDATOR.is_valid(fields)


def test_the_schema_knows_the_fields_and_choices_of_the_code():
    properties = SCHEMA["properties"]
    for name, spec in (("picture", PictureSpec), ("caption", CaptionSpec)):
        fields = {field.name for field in dataclasses.fields(spec)}
        assert set(properties[name]["properties"]) == set(properties[name]["required"]) == fields
    for name, choices in (
        ("normalisation", captions.NORMALISATIONS),
        ("punctuation", captions.PUNCTUATIONS),
        ("digits", captions.DIGITS),
    ):
        assert properties["caption"]["properties"][name]["enum"] == list(choices)
    reasons = properties["dead_letters"]["propertyNames"]["enum"]
    assert reasons == [reason.value for reason in Reason]
