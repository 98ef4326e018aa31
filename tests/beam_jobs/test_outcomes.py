"""Outcomes: the same sum in whatever order and grouping the runner adds them up."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.job import BuildJob
from beam_jobs.outcomes import Outcome, merge
from beam_jobs.publish import publish_dataset
from beam_jobs.source import FROM_SOURCE, Source
from beam_jobs.staging import JobFailed
from records.captions import CaptionSpec
from records.dead_letters import DeadLetter, Reason, dead_letter_lines, parse_dead_letters
from records.manifest import MANIFEST, ShardInfo, SourceInfo
from records.pictures import PictureSpec
from records.sources import Columns

TEXT = st.text("ab\n\u2028", max_size=2)
LETTERS = st.builds(DeadLetter, TEXT, st.sampled_from([Reason.MISSING, Reason.TRUNCATED]), TEXT)
EMPTY_CAPTIONS = st.builds(DeadLetter, TEXT, st.just(Reason.CAPTION_EMPTY), TEXT, TEXT)
COUNTS = st.integers(0, 9)
SHARDS = st.builds(
    lambda index: ShardInfo(
        f"n-train.tfrecord-{index:05d}-of-00010", 2, 10, 99, "0" * 64, "1" * 64
    ),
    COUNTS,
)
OUTCOMES = st.builds(
    Outcome,
    shards=st.lists(SHARDS, max_size=2).map(tuple),
    dead_letters=st.lists(LETTERS | EMPTY_CAPTIONS, max_size=3).map(tuple),
    word_counts=st.dictionaries(TEXT, COUNTS, max_size=3),
    captions_per_picture=st.dictionaries(COUNTS, COUNTS, max_size=3),
    caption_words=COUNTS,
    longest_caption=COUNTS,
)


def published(outcome):
    """What of an outcome ends up in the files."""
    return (
        sorted(shard.file for shard in outcome.shards),
        outcome.records,
        outcome.rejected,
        dead_letter_lines(outcome.dead_letters),
        outcome.dead_letter_counts(),
        outcome.word_counts,
        outcome.statistics(),
    )


@given(st.lists(OUTCOMES, max_size=5), st.randoms(use_true_random=False), st.integers(0, 5))
def test_order_and_grouping_do_not_show(outcomes, chance, cut):
    expected = published(merge(outcomes))
    chance.shuffle(outcomes)
    assert published(merge(outcomes)) == expected
    assert published(merge([merge(outcomes[:cut]), merge(outcomes[cut:])])) == expected


def test_statistics():
    outcome = merge(
        [
            Outcome(captions_per_picture={5: 2}, caption_words=20, longest_caption=4),
            Outcome(captions_per_picture={5: 1, 1: 1}, caption_words=12, longest_caption=7),
        ]
    )
    statistics = outcome.statistics()
    assert statistics.captions_per_picture == {1: 1, 5: 3}
    assert (statistics.caption_words_mean, statistics.caption_words_max) == (2.0, 7)


@given(st.lists(LETTERS | EMPTY_CAPTIONS))
def test_dead_letters_are_a_json_object_a_line_in_order_of_keys(letters):
    text = dead_letter_lines(letters)
    lines = [json.loads(line) for line in text.split("\n")[:-1]]
    assert [line["key"] for line in lines] == sorted(letter.key for letter in letters)
    assert all(("caption" in line) == (line["reason"] == "caption_empty") for line in lines)
    assert sorted(parse_dead_letters(text, "x"), key=repr) == sorted(letters, key=repr)


@given(OUTCOMES)
def test_a_receipt_gives_the_outcome_back(outcome):
    assert Outcome.from_dict(json.loads(json.dumps(outcome.to_dict()))) == outcome


@pytest.mark.parametrize(
    ("indices", "told"), [([0], "00001-of-00002 came back 0"), ([0, 1, 1], "2")]
)
def test_a_dataset_that_the_runner_lost_or_doubled_a_shard_of_is_not_published(
    indices, told, tmp_path
):
    shards = [
        ShardInfo(f"n-train.tfrecord-{index:05d}-of-00002", 2, 10, 99, "0" * 64, "1" * 64)
        for index in indices
    ]
    job = BuildJob(
        images="",
        source=Source("", Columns(), FROM_SOURCE),
        info=SourceInfo(4, 20, "", 0),
        output=str(tmp_path),
        name="n",
        picture=PictureSpec(),
        caption=CaptionSpec(),
        shard_counts={"train": 2},
    )
    with pytest.raises(JobFailed, match=f"{told}.*: run the job again"):
        publish_dataset(Outcome(shards=tuple(shards)), job)
    assert not (tmp_path / MANIFEST).exists()
