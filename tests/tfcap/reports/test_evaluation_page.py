"""The evaluation report, of an evaluation written by hand."""

import dataclasses
import io

import numpy as np
import pytest
from pages import Page, check_accessible, check_in_browser, check_self_contained
from PIL import Image

from records.captions import DEFAULT_CLEANING
from records.pictures import PictureSpec
from records.vocabulary import SPECIALS, Vocabulary

pytest.importorskip("jinja2", reason="the report needs the extra `report`")
pytest.importorskip("matplotlib", reason="the report needs the extra `report`")

from tfcap.reports.attention import Look
from tfcap.reports.evaluation_page import (
    PICTURES,
    Attention,
    Evaluation,
    Metric,
    TrainingCourse,
    figure_text,
    make_evaluation_page,
    place_of,
)

SCRIPT = "<script>alert('x')</script>"
HISTORY = [
    {"epoch": 1, "loss": 4.5, "val_loss": 4.0, "val_CIDEr": 0.21, "val_BLEU-4": 9.5},
    {"epoch": 2, "loss": 3.5, "val_loss": 3.25, "val_CIDEr": 0.43, "val_BLEU-4": 17.0},
    {"epoch": 3, "loss": 3.0, "val_loss": 3.5, "val_CIDEr": 0.41, "val_BLEU-4": 16.0},
]
COURSE = TrainingCourse(HISTORY, ["frozen encoder", "frozen encoder", "fine-tuning"], 2)
KEYS = [f"{number:02}{SCRIPT}.jpg" for number in range(24)]
# Of three pictures, one caption is right, one half so, and one wrong.
CAPTIONS = ["a red dog runs", "a blue dog runs", "cats"]
REFERENCES = [
    [f"A red {thing} runs.", f"A red {thing} {SCRIPT}"] for thing in ("dog", "dog", "cow")
]
EVALUATION = Evaluation(
    facts={"Run": f"runs/{SCRIPT}", "Search": "beams 3"},
    metrics=[Metric("BLEU-4", 18.4, (17.25, 19.5)), Metric("CIDEr-D", 0.469), Metric("n", 1000)],
    references={key: REFERENCES[number % 3] for number, key in enumerate(KEYS)},
    captions={key: CAPTIONS[number % 3] for number, key in enumerate(KEYS)},
    picture=PictureSpec(),
    cleaning=DEFAULT_CLEANING,
    vocabulary=Vocabulary((*SPECIALS, "a", "dog", "runs")),
    training=COURSE,
)


def draw_jpegs(keys):
    file = io.BytesIO()
    Image.new("RGB", (300, 200), (90, 120, 160)).save(file, "JPEG")
    return dict.fromkeys(keys, file.getvalue())


def look_left(pictures):
    weights = np.zeros((2, 3))
    weights[1, 0] = 1
    return Attention(
        {
            key: [Look(word, weights) for word in (*EVALUATION.captions[key].split(), SCRIPT)]
            for key in pictures
        }
    )


def look_nowhere(pictures):
    return Attention({}, f"the decoder {SCRIPT} has no attention")


def make(look=look_left, read=draw_jpegs, **changes):
    return make_evaluation_page(dataclasses.replace(EVALUATION, **changes), read, look)


@pytest.fixture(scope="module")
def page():
    return make()


def section(page, name):
    start = page.index(f'<section aria-labelledby="{name}">')
    end = "</section>"
    return page[start : page.index(end, start) + len(end)]


def test_the_page_is_accessible_and_needs_nothing(page):
    check_accessible(page)
    check_self_contained(page)
    assert Page(page).tags().count("svg") == 3


def test_hostile_text_stays_text(page):
    # Of each picture the name, a reference and a word; and the run.
    assert "".join(Page(page).text).count(SCRIPT) == 3 * 3 * PICTURES + 3


def test_scores_have_their_intervals(page):
    cells = [text.strip() for text in Page(section(page, "scores")).text]
    cells = [text for text in cells if text]
    assert cells[-9:-6] == ["BLEU-4", "18.40", "17.25 to 19.50"]
    assert cells[-6:] == ["CIDEr-D", "0.469", "–", "n", "1,000", "–"]


def test_without_intervals_there_is_no_column_of_them():
    assert "95% interval" not in make(metrics=[Metric("BLEU-4", 18.4)])


def test_the_best_come_first_and_the_worst_apart(page):
    shown = section(page, "pictures")
    best, worst, drawn = (shown.index(f"<h3>{kind}</h3>") for kind in ("Best", "Worst", "Random"))
    assert best < worst < drawn
    assert shown[best:worst].count("<h4><bdi>a red dog runs</bdi></h4>") == PICTURES
    assert shown[worst:drawn].count("<h4><bdi>cats</bdi></h4>") == PICTURES
    assert shown[drawn:].count("<h4>") == PICTURES
    assert shown[worst:drawn].count("CIDEr-D 0.000") == PICTURES


def test_every_word_has_its_picture_and_says_where_it_looked(page):
    shown = Page(section(page, "pictures"))
    panels = [name for name in shown.values("alt") if name.startswith("Looked at")]
    assert set(panels) == {"Looked at: lower left"}
    keys = [key for key in KEYS if key in "".join(shown.text)]
    assert len(panels) == sum(len(look_left([key]).looks[key]) for key in keys) > 3 * PICTURES


def test_bytes_that_are_no_picture_leave_a_gap():
    page = make(read=lambda keys: dict.fromkeys(keys, b"no picture"))
    assert page.count("not to be shown") == 3 * PICTURES
    assert "<img" not in page


def test_without_attention_the_page_says_why():
    page = make(look=look_nowhere)
    assert "Looked at" not in page
    assert "No attention maps: the decoder &lt;script&gt;" in page


def test_the_course_of_training_is_drawn_and_told(page):
    training = section(page, "training")
    assert "frozen encoder, then fine-tuning" in training
    assert "2 (kept)" in training
    text = "".join(Page(training).text)
    assert "3.250" in text and "17.00" in text


def test_an_export_has_no_course_of_training():
    page = make(training=None, vocabulary=None)
    assert "evaluate a run" in section(page, "training")
    assert "by the rank of its rarest word" not in page
    assert "How rare words fare is not known" in section(page, "breakdown")
    check_accessible(page)


def test_one_epoch_and_figures_that_are_missing_are_drawn_too():
    course = TrainingCourse([{"loss": float("nan"), "val_CIDEr": 0.1}], ["frozen encoder"], 1)
    page = make(training=course)
    assert Page(page).tags().count("svg") == 2


def test_colours_that_were_taken_for_others_are_named(page):
    confusions = section(page, "confusions")
    assert "red for blue (8)" in confusions
    assert confusions.count("No caption has a word of these.") == 2  # no counts, no genders


def test_one_picture_without_words_has_a_page():
    page = make(captions={KEYS[0]: ""}, look=lambda pictures: Attention({KEYS[0]: []}))
    assert "(no words)" in page
    assert "<h3>Worst</h3>" not in page
    check_accessible(page)


def test_the_same_evaluation_gives_the_same_page(page):
    assert make() == page


def test_a_browser_has_nothing_to_complain_about(page, tmp_path):
    check_in_browser(page, tmp_path)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1000, "1,000"),
        (0.469, "0.469"),
        (18.4, "18.40"),
        (-9.9999, "-10.000"),
        (1234.5, "1,234.50"),
    ],
)
def test_figures_are_short(value, text):
    assert figure_text(value) == text


@pytest.mark.parametrize(
    ("shape", "cell", "place"),
    [
        ((7, 7), (3, 3), "centre"),
        ((7, 7), (0, 6), "upper right"),
        ((2, 2), (1, 0), "lower left"),
        ((3, 3), (1, 2), "middle right"),
        ((1, 4), (0, 0), "middle left"),
    ],
)
def test_places_in_words(shape, cell, place):
    weights = np.full(shape, 0.01)
    weights[cell] = 1
    assert place_of(weights) == place


def test_an_even_map_points_nowhere():
    assert place_of(np.full((7, 7), 1 / 49)) == "nowhere in particular"
