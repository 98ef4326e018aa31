"""What the dataset card counts and draws."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.example import PictureRecord
from records.pictures import PictureSpec
from records.vocabulary import SPECIALS, build_vocabulary

pytest.importorskip("matplotlib", reason="the card needs the extra `report`")
pytest.importorskip("wordcloud", reason="the card needs the extra `report`")

from tfcap.reports import plots
from tfcap.reports.coverage import coverage_curve, coverage_of, vocabulary_ranking
from tfcap.reports.survey import SAMPLES, summarise, survey_records
from tfcap.reports.thumbnails import SIDE, make_thumbnail
from tfcap.reports.word_cloud import content_words, draw_word_cloud

COUNTS = st.dictionaries(st.integers(0, 60), st.integers(1, 9), min_size=1)
WORD_COUNTS = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 9), min_size=1)


def record(key, captions=("a dog",), size=(48, 36), encoded=b""):
    width, height = size
    return PictureRecord(encoded, height, width, key, key, "0" * 64, captions, captions)


def said(word_counts):
    return " ".join(word for word, count in word_counts.items() for _ in range(count))


def test_the_survey_counts_words_sizes_and_bytes():
    surveyed = survey_records(
        [
            record("a", captions=("a dog", "a dog runs"), size=(40, 30), encoded=b"x" * 1025),
            record("b", captions=("dog",), size=(40, 30), encoded=b"x" * 1024),
        ]
    )
    assert surveyed.word_counts == {"a": 2, "dog": 3, "runs": 1}
    assert surveyed.tokens == 6
    assert surveyed.caption_words == {1: 1, 2: 1, 3: 1}
    assert surveyed.captions_per_picture == {2: 1, 1: 1}
    assert surveyed.sizes == {(40, 30): 2}
    assert surveyed.jpeg_kib == {2: 1, 1: 1}


@given(st.sets(st.text(min_size=1, max_size=4), max_size=20), st.randoms())
def test_samples_depend_on_the_keys_and_not_on_their_order(keys, random):
    records = [record(key, captions=()) for key in sorted(keys)]
    expected = survey_records(records).sample_keys
    random.shuffle(records)
    assert survey_records(records).sample_keys == expected
    assert len(expected) == min(SAMPLES, len(keys))


@given(COUNTS)
def test_a_summary_is_that_of_the_values_written_out(counts):
    values = sorted(value for value, count in counts.items() for _ in range(count))
    summary = summarise(counts)
    assert (summary.least, summary.most) == (values[0], values[-1])
    assert summary.median == statistics.median_low(values)
    assert summary.mean == pytest.approx(statistics.fmean(values))
    below = sum(value <= summary.percentile_95 for value in values)
    assert below >= 0.95 * len(values)
    assert sum(value < summary.percentile_95 for value in values) < 0.95 * len(values)


def test_nothing_has_no_summary():
    assert summarise({}) is None


@given(WORD_COUNTS, WORD_COUNTS, st.integers(1, 5))
def test_the_curve_passes_through_the_actual_coverage(train, val, min_count):
    vocabulary = build_vocabulary(train, min_count)
    survey = {"train": survey_records([record("a", captions=(said(train),))])}
    ranking = vocabulary_ranking(vocabulary, survey)
    assert ranking == list(build_vocabulary(train, 1).words[len(SPECIALS) :])
    known = len(vocabulary) - len(SPECIALS)
    for counts in (train, val):
        covered = coverage_of(counts, vocabulary)
        curve = coverage_curve(counts, ranking)
        assert ([0.0, *curve])[known] == pytest.approx(covered.known_tokens / covered.tokens)
        assert curve == sorted(curve)
    assert coverage_curve(train, ranking)[-1] == 1


def test_frequent_words_leave_out_what_says_nothing():
    counts = {"the": 9, "The": 8, "'s": 7, "12": 6, ",": 5, "dog": 4, "cat": 4, "été": 1}
    assert content_words(counts, 3) == ["cat", "dog", "été"]


@pytest.mark.parametrize("words", [["a" * 400], ["the"], []])
def test_no_cloud_is_drawn_where_no_word_fits(words):
    assert draw_word_cloud(dict.fromkeys(words, 3)) is None


@pytest.mark.parametrize("words", [["w" * 30, "m" * 30], ["dog"], ["\0dog", "犬"]])
def test_a_cloud_is_drawn_of_whatever_words_there_are(words):
    assert draw_word_cloud(dict.fromkeys(words, 3)).startswith(b"\x89PNG")


def test_a_thumbnail_is_small_and_whole(jpeg):
    thumbnail = make_thumbnail(jpeg(1, (3 * SIDE, 2 * SIDE)), PictureSpec(size=2 * SIDE))
    assert thumbnail[1:] == (1.5 * SIDE, SIDE)


def test_a_picture_that_was_shrunk_below_the_least_side_has_a_thumbnail(jpeg):
    assert make_thumbnail(jpeg(1, (300, 224)), PictureSpec(size=224, min_side=300))


@pytest.mark.parametrize("encoded", [b"", b"\xff\xd8\xff", b"<svg onload='alert(1)'/>"])
def test_what_is_no_picture_has_no_thumbnail(encoded):
    assert make_thumbnail(encoded, PictureSpec()) is None


def test_names_of_splits_are_drawn_as_they_are():
    names = ["_hidden", "$x^2$", "a<b"]
    surveyed = survey_records([record("a.jpg")])
    svg = plots.plot_caption_lengths(dict.fromkeys(names, surveyed))
    for name in ("_hidden", "$x^2$", "a&lt;b"):
        assert f">{name}</text>" in svg
