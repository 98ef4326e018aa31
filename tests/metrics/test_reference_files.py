import json

import pytest

from records.errors import UserError
from tfcap.metrics.reference_files import read_reference_file

CAPTIONS = {"1.jpg": ["A dog.", "The dog"], "2.jpg": ["Two boys"]}
COCO = {
    "images": [{"id": 42, "file_name": "1.jpg"}, {"id": 7, "file_name": "2.jpg"}],
    "annotations": [
        {"id": 1, "image_id": 42, "caption": "A dog."},
        {"id": 2, "image_id": 7, "caption": "Two boys"},
        {"id": 3, "image_id": 42, "caption": "The dog"},
    ],
}
FORMS = {
    "plain.json": json.dumps(CAPTIONS),
    "coco.json": json.dumps(COCO),
    "captions.txt": "image,caption\n1.jpg,A dog.\n1.jpg,The dog\n2.jpg,Two boys\n",
    "token.txt": "1.jpg#0\tA dog.\n1.jpg#1\tThe dog\n2.jpg#0\tTwo boys\n",
    "captions.jsonl": '{"image": "1.jpg", "caption": "A dog."}\n'
    '{"image": "1.jpg", "caption": "The dog"}\n{"image": "2.jpg", "caption": "Two boys"}\n',
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_captions_by_picture(tmp_path, name):
    path = tmp_path / name
    path.write_text(FORMS[name])
    assert read_reference_file(path).captions == CAPTIONS


def test_predictions_may_name_pictures_by_file_or_by_coco_id(tmp_path):
    path = tmp_path / "coco.json"
    path.write_text(FORMS["coco.json"])
    references = read_reference_file(path)
    expected = {"1.jpg": "a", "2.jpg": "b", "3.jpg": "c"}
    assert references.named_alike({42: "a", "2.jpg": "b", "3.jpg": "c"}) == expected
    with pytest.raises(UserError, match=r"two predictions.*'1\.jpg'"):
        references.named_alike({42: "a", "1.jpg": "b"})


def test_numbers_name_pictures_of_a_plain_object(tmp_path):
    path = tmp_path / "plain.json"
    path.write_text('{"7": ["a dog"]}')
    assert read_reference_file(path).named_alike({7: "a cat"}) == {"7": "a cat"}


@pytest.mark.parametrize("text", ["", "{}x", '{"a": 1}', '{"a": [1]}', '{"a": "b"}', "[]", "{"])
def test_what_holds_no_references_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "references.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"references\.json") as refusal:
        read_reference_file(path)
    assert "\n" not in str(refusal.value)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="check the path"):
        read_reference_file(tmp_path / "absent.json")
