import pytest

from tfcap.metrics import score_captions
from tfcap.metrics.human import score_humans
from tfcap.metrics.per_picture import TokenReferences
from tfcap.metrics.rouge import rouge_l

CAPTIONS = {
    "1": ["a dog runs in the grass", "the dog runs on grass", "a brown dog is on the grass"],
    "2": ["two boys play with a ball", "boys with a ball", "two boys play"],
}


def tokens(captions):
    return {picture: [each.split() for each in several] for picture, several in captions.items()}


def test_each_reference_is_scored_against_the_others_in_turn():
    human = score_humans(TokenReferences(tokens(CAPTIONS)))
    turns = [
        score_captions(
            {key: [*several[:turn], *several[turn + 1 :]] for key, several in CAPTIONS.items()},
            {key: several[turn] for key, several in CAPTIONS.items()},
        )
        for turn in range(3)
    ]
    assert human.scores["BLEU-4"] == pytest.approx(sum(turn.bleu[3] for turn in turns) / 3)
    assert human.scores["ROUGE-L"] == pytest.approx(sum(turn.rouge_l for turn in turns) / 3)
    assert (human.count, human.left_out) == (2, 0)


def test_cider_keeps_the_document_frequencies_of_all_references():
    captions = {"1": ["x", "x"], "2": ["x", "y y"]}
    # "x" is in both pictures and weighs nothing, though in no turn of "2" are both in use.
    assert score_humans(TokenReferences(tokens(captions))).scores["CIDEr-D"] == 0


def test_a_picture_with_fewer_references_begins_anew():
    # Every turn of "1" has all points; those of "2" are of its first, second and first reference.
    captions = {"1": ["x", "x", "x"], "2": ["a b", "a b c d"]}
    one, other = (captions["2"][at].split() for at in (0, 1))
    turns = [rouge_l([other], one), rouge_l([one], other), rouge_l([other], one)]
    human = score_humans(TokenReferences(tokens(captions)))
    assert turns[0] != turns[1]
    assert human.scores["ROUGE-L"] == pytest.approx((100 + sum(turns) / 3) / 2)


def test_single_references_are_left_out_and_counted():
    several = score_humans(TokenReferences(tokens(CAPTIONS)))
    human = score_humans(TokenReferences(tokens({**CAPTIONS, "3": ["a cat"]})))
    assert (human.count, human.left_out) == (2, 1)
    assert human.scores["BLEU-4"] == pytest.approx(several.scores["BLEU-4"])
    nobody = score_humans(TokenReferences(tokens({"3": ["a cat"]})))
    assert (nobody.scores, nobody.count, nobody.left_out) == ({}, 0, 1)
