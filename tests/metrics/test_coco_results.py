import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.errors import UserError
from tfcap.metrics import read_predictions, write_predictions


def test_written_in_the_coco_results_format_sorted_by_id(tmp_path):
    path = tmp_path / "predictions.json"
    write_predictions(path, {"b.jpg": "a café", "a.jpg": 'say "hi"'})
    assert json.loads(path.read_text(encoding="utf-8")) == [
        {"image_id": "a.jpg", "caption": 'say "hi"'},
        {"image_id": "b.jpg", "caption": "a café"},
    ]
    assert list(tmp_path.iterdir()) == [path]


@given(
    predictions=st.one_of(
        st.dictionaries(st.text(), st.text()), st.dictionaries(st.integers(), st.text())
    )
)
def test_read_gives_back_what_was_written(tmp_path_factory, predictions):
    path = tmp_path_factory.mktemp("results") / "predictions.json"
    write_predictions(path, predictions)
    assert read_predictions(path) == predictions


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "predictions.json"
    write_predictions(path, {1: "old"})

    def refuse(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(UserError, match="No space left"):
        write_predictions(path, {1: "new"})
    assert list(tmp_path.iterdir()) == [path]
    assert read_predictions(path) == {1: "old"}


def test_missing_directory_is_named(tmp_path):
    path = tmp_path / "absent" / "predictions.json"
    with pytest.raises(UserError, match=r"absent.*directory"):
        write_predictions(path, {1: "a"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        '{"image_id": 1, "caption": "a"}',
        '["a dog"]',
        '[{"image_id": 1}]',
        '[{"caption": "a"}]',
        '[{"image_id": 1, "caption": null}]',
        '[{"image_id": 1, "caption": ["a"]}]',
        '[{"image_id": true, "caption": "a"}]',
        '[{"image_id": null, "caption": "a"}]',
        '[{"image_id": [1], "caption": "a"}]',
        '[{"image_id": 1, "caption": "a"}, {"image_id": 1, "caption": "b"}]',
    ],
)
def test_malformed_file_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "predictions.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"predictions\.json") as refusal:
        read_predictions(path)
    assert "\n" not in str(refusal.value)


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="check the path"):
        read_predictions(tmp_path / "absent.json")
    path = tmp_path / "latin.json"
    path.write_bytes(b'[{"image_id": 1, "caption": "caf\xe9"}]')
    with pytest.raises(UserError, match="not JSON"):
        read_predictions(path)
