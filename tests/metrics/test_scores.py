import subprocess
import sys

import pytest

from records.captions import CaptionSpec
from records.errors import UserError
from tfcap.metrics import References, score_captions

REFERENCES = {
    "1.jpg": ["A dog's running, in the grass .", "The dog runs"],
    "2.jpg": ["Two boys play ball .", "Boys with a red ball"],
}


def test_captions_equal_to_references_score_highest():
    scores = score_captions(
        REFERENCES, {"2.jpg": "two boys play ball", "1.jpg": "a dog 's running in the grass"}
    )
    assert scores.bleu == pytest.approx([100] * 4)
    assert scores.exact == 1
    assert scores.count == 2
    worse = score_captions(REFERENCES, {"1.jpg": "a dog runs in grass", "2.jpg": "two girls sit"})
    assert worse.cider < scores.cider
    assert worse.exact == 0


def test_exact_is_a_share_of_pictures():
    predictions = {"1.jpg": "THE DOG RUNS!", "2.jpg": "the dog runs"}
    assert score_captions(REFERENCES, predictions).exact == 0.5


def test_exact_compares_captions_as_the_dataset_cleans_them():
    references = {"1.jpg": ["Ein Hund in Köln ."], "2.jpg": ["犬"]}
    predictions = {"1.jpg": "ein hund in koln", "2.jpg": "犬"}
    assert score_captions(references, predictions).exact == 1
    unicode = CaptionSpec(normalisation="unicode")
    assert score_captions(references, predictions, unicode).exact == 0.5
    assert (
        score_captions(references, predictions | {"1.jpg": "ein hund in köln"}, unicode).exact == 1
    )


def test_to_dict_names_every_score():
    scores = score_captions(REFERENCES, {"1.jpg": "the dog runs", "2.jpg": "a red ball"})
    fields = scores.to_dict()
    names = ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr", "exact", "images"]
    assert list(fields) == names
    values = (*scores.bleu, scores.rouge_l, scores.cider, scores.exact, 2)
    assert tuple(fields.values()) == values


def test_prepared_references_give_the_same_scores_again():
    references = References(REFERENCES)
    first = {"1.jpg": "the dog runs", "2.jpg": "a red ball"}
    second = {"1.jpg": "a dog", "2.jpg": "two boys play"}
    before = references.score(first)
    assert references.score(second) == score_captions(REFERENCES, second) != before
    assert references.score(first) == before


def test_cider_is_the_mean_over_pictures():
    references = References(REFERENCES)
    predictions = {"1.jpg": "the dog runs", "2.jpg": "a blue cat"}
    each = references.cider_per_picture(predictions)
    assert each["1.jpg"] > each["2.jpg"]
    assert references.score(predictions).cider == pytest.approx(sum(each.values()) / 2)


def test_missing_prediction_is_named():
    with pytest.raises(UserError, match=r"1 of 2 pictures .*'2.jpg'"):
        score_captions(REFERENCES, {"1.jpg": "a dog"})


def test_unknown_picture_is_named():
    with pytest.raises(UserError, match=r"'3.jpg'.*remove"):
        score_captions(REFERENCES, dict.fromkeys(["1.jpg", "2.jpg", "3.jpg"], "a dog"))


@pytest.mark.parametrize("references", [{}, {"1.jpg": []}])
def test_absent_references_are_refused(references):
    with pytest.raises(UserError, match="reference"):
        References(references)


def test_metrics_never_import_tensorflow():
    code = "import sys, tfcap.metrics; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
