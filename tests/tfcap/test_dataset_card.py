"""The dataset card, of small datasets written by hand."""

import dataclasses
import hashlib
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from by_hand import make_manifest, write_shard
from pages import Page, check_accessible, check_in_browser, check_self_contained
from PIL import Image

from records.audit import (
    Audit,
    Degeneracy,
    DegenerateCaption,
    Likeness,
    PicturePair,
    SharedCaption,
)
from records.captions import clean_caption
from records.dead_letters import DeadLetter, Reason, dead_letter_lines
from records.errors import UserError
from records.example import PictureRecord
from records.manifest import (
    DEAD_LETTERS,
    MANIFEST,
    VOCABULARY,
    SourceInfo,
    Statistics,
)
from records.shards import ShardName
from records.tfrecord import CorruptRecord
from records.vocabulary import build_vocabulary

pytest.importorskip("jinja2", reason="the card needs the extra `report`")
pytest.importorskip("matplotlib", reason="the card needs the extra `report`")
pytest.importorskip("wordcloud", reason="the card needs the extra `report`")

from tfcap.reports.dataset_card import DEGENERACIES, LIKENESSES, REASONS, ROWS, make_dataset_card
from tfcap.reports.survey import survey_dataset

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = "<script>alert('x')</script>"
CAPTIONS = ("A dog runs on the grass .", "Two dogs play .", f'A {SCRIPT} "dog" & a cat\'s ball')


def draw_jpeg(number, size=(48, 36)):
    file = io.BytesIO()
    Image.new("RGB", size, (number * 37 % 256, 90, 160)).save(file, "JPEG")
    return file.getvalue()


def make_record(key, number=0, captions=CAPTIONS, size=(48, 36), encoded=None):
    encoded = draw_jpeg(number, size) if encoded is None else encoded
    cleaned = tuple(map(clean_caption, captions))
    return PictureRecord(encoded, size[1], size[0], key, key, "0" * 64, captions, cleaned)


def write_dataset(directory, splits, letters=()):
    """Write a dataset of one shard a split; returns its manifest."""
    directory.mkdir(exist_ok=True)
    shards, words = {}, Counter()
    for split, records in splits.items():
        ordered = sorted(records, key=lambda record: record.filename)
        shards[split] = [write_shard(directory, ShardName("tiny", split, 0, 1), ordered)]
        captions = [caption for record in records for caption in record.captions]
        words.update(word for caption in captions for word in caption.split())
    vocabulary = build_vocabulary(words, 5)
    text = vocabulary.to_text()
    (directory / VOCABULARY).write_text(text)
    (directory / DEAD_LETTERS).write_text(dead_letter_lines(letters))
    manifest = make_manifest(
        shards,
        vocabulary_size=len(vocabulary),
        vocabulary_sha256=hashlib.sha256(text.encode()).hexdigest(),
        source=SourceInfo(20, 60, "0" * 64, 3),
        rejected=len(letters),
        dead_letters=Counter(letter.reason.value for letter in letters),
        statistics=Statistics({3: 12}, 5.0, 7),
    )
    (directory / MANIFEST).write_text(manifest.to_json())
    return manifest


def empty_audit(manifest, **found):
    nothing = Audit(manifest.name, manifest.fingerprint, {}, {}, (), (), 0, (), ())
    return dataclasses.replace(nothing, **found)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A dataset with something for each section; returns its directory, manifest and audit."""
    directory = tmp_path_factory.mktemp("card") / "tiny"
    train = [make_record(f"t{number}.jpg", number, size=(48 + number, 40)) for number in range(9)]
    train.append(make_record(f"{SCRIPT}.jpg", 10))
    val = [make_record("v.jpg", 1), make_record("broken.jpg", encoded=b"\xff\xd8 no picture")]
    letters = [
        DeadLetter(f"{SCRIPT}.png", reason, SCRIPT, SCRIPT if "caption_" in reason else None)
        for reason in Reason
    ]
    manifest = write_dataset(directory, {"train": train, "val": val}, letters * 5)
    audit = empty_audit(
        manifest,
        duplicates=(
            PicturePair(Likeness.NEAR, ("t1.jpg", "v.jpg"), ("train", "val"), 7),
            PicturePair(Likeness.BYTES, ("t2.jpg", "t3.jpg"), ("train", "train")),
        ),
        equal_caption_sets=(
            PicturePair(Likeness.CAPTIONS, ("t4.jpg", "broken.jpg"), ("train", "val")),
        ),
        shared_captions=(SharedCaption(SCRIPT, {"train": 10, "val": 2}),),
        degenerate_captions=(
            DegenerateCaption(Degeneracy.SHORT, "train", f"{SCRIPT}.jpg", SCRIPT),
        ),
    )
    return directory, manifest, audit


@pytest.fixture(scope="module")
def card(dataset):
    return make_dataset_card(*dataset)


def test_a_damaged_record_is_named(tmp_path):
    bad = dataclasses.replace(make_record("a.jpg"), width=0)
    manifest = write_dataset(tmp_path, {"train": [make_record("0.jpg"), bad]})
    with pytest.raises(CorruptRecord, match=r"record 1 .* a\.jpg is 0x36"):
        survey_dataset(tmp_path, manifest)


def test_progress_counts_every_picture(dataset):
    directory, manifest, _ = dataset
    done = []
    survey_dataset(directory, manifest, done.append)
    assert sum(done) == 12


def test_every_reason_and_finding_is_explained():
    assert set(REASONS) == set(Reason)
    assert set(LIKENESSES) == set(Likeness)
    assert set(DEGENERACIES) == set(Degeneracy)


def test_the_page_is_well_formed_and_accessible(card):
    check_accessible(card)
    page = Page(card)
    assert page.tags().count("table") > 5
    assert page.tags().count("svg") == 6 == page.values("role").count("img")


def test_nothing_outside_of_the_page_is_referred_to(card):
    check_self_contained(card)


def test_hostile_text_stays_text(card):
    text = "".join(Page(card).text)
    assert text.count(SCRIPT) > 3 * len(Reason)
    assert f"{SCRIPT}.jpg" in text


def test_the_same_dataset_gives_the_same_page_anywhere(dataset, card, tmp_path):
    directory, _, audit = dataset
    copy = shutil.copytree(directory, tmp_path / "elsewhere")
    program = (
        "import pickle, sys, pathlib\n"
        "from records.manifest import load_manifest\n"
        "from tfcap.reports.dataset_card import make_dataset_card\n"
        "directory = pathlib.Path(sys.argv[1])\n"
        "audit = pickle.load(sys.stdin.buffer)\n"
        "page = make_dataset_card(directory, load_manifest(directory), audit)\n"
        "sys.stdout.buffer.write(page.encode())\n"
    )
    again = subprocess.run(
        [sys.executable, "-c", program, str(copy)],
        input=pickle.dumps(audit),
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(REPOSITORY), "TZ": "Asia/Tokyo"},
        capture_output=True,
        check=True,
    )
    assert again.stdout.decode() == card


def test_leaks_come_first_and_side_by_side(card):
    audit = card[card.index('id="audit"') :]
    leaks, inside = audit.index("<h3>Leaks"), audit.index("<h3>Duplicates")
    assert leaks < inside < audit.index("<h3>Equal caption sets")
    leak = audit[leaks:inside]
    assert re.findall(r'alt="Picture (.*?)"', leak) == ["t1.jpg", "v.jpg"]
    assert "7 of 64 bits differ" in leak


def test_a_long_list_of_dead_letters_is_cut_and_says_so(card):
    assert f"the first {ROWS} of {5 * len(Reason)}" in card


def test_a_picture_that_does_not_decode_leaves_a_gap(card):
    assert card.count("not to be shown") == 2  # as a sample and in a pair


def test_a_dataset_with_next_to_nothing_in_it_has_a_card(tmp_path):
    only = make_record("a.jpg", captions=("the",))
    manifest = write_dataset(tmp_path, {"train": [only], "val": []})
    page = Page(make_dataset_card(tmp_path, manifest, empty_audit(manifest)))
    assert "cloud" not in " ".join(page.values("alt"))
    nothing = write_dataset(tmp_path / "none", {"train": []})
    Page(make_dataset_card(tmp_path / "none", nothing, empty_audit(nothing)))


def test_what_utf_8_cannot_hold_is_escaped(tmp_path):
    manifest = write_dataset(tmp_path, {"train": [make_record("a.jpg")]})
    letter = {"key": "\ud800.jpg", "reason": "missing", "detail": ""}
    (tmp_path / DEAD_LETTERS).write_text(json.dumps(letter) + "\n")
    manifest = dataclasses.replace(manifest, dead_letters={"missing": 1})
    card = make_dataset_card(tmp_path, manifest, empty_audit(manifest))
    assert "\\ud800.jpg" in card
    card.encode("utf-8")


def test_the_audit_of_another_dataset_is_refused(dataset):
    directory, manifest, audit = dataset
    other = dataclasses.replace(audit, fingerprint="f" * 64)
    with pytest.raises(UserError, match="ffffffffffff"):
        make_dataset_card(directory, manifest, other)


def test_a_browser_has_nothing_to_complain_about(card, tmp_path):
    check_in_browser(card, tmp_path)
