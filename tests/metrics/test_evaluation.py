import json
import re

import pytest

from records.errors import UserError
from records.vocabulary import SPECIALS, Vocabulary
from tfcap.metrics import score_captions
from tfcap.metrics.diversity import Training
from tfcap.metrics.evaluation import Measures, compare_captions, evaluate_captions
from tfcap.metrics.meteor import Lexicon
from tfcap.metrics.signature import Origin
from tfcap.metrics.similarity import Similarity
from tfcap.metrics.table import format_differences, format_evaluation

REFERENCES = {
    "1.jpg": ["A dog's running, in the grass .", "The dog runs"],
    "2.jpg": ["Two boys play ball .", "Boys with a red ball"],
    "3.jpg": ["A man sits"],
}
PREDICTIONS = {"1.jpg": "the dog runs", "2.jpg": "boys with a blue ball"}
LEXICON = Lexicon(lambda word: word.rstrip("s"))
PLAIN = Measures(LEXICON)


def test_scores_are_those_of_the_predicted_pictures():
    found = evaluate_captions(REFERENCES, PREDICTIONS, PLAIN)
    predicted = {key: REFERENCES[key] for key in PREDICTIONS}
    scores = score_captions(predicted, PREDICTIONS)
    assert [found.scores[f"BLEU-{order}"].value for order in (1, 2, 3, 4)] == pytest.approx(
        scores.bleu
    )
    assert found.scores["CIDEr-D"].value == pytest.approx(scores.cider)
    assert found.scores["ROUGE-L"].value == pytest.approx(scores.rouge_l)
    assert (found.exact, found.left_out) == (0.5, 1)
    assert found.references == predicted
    meteor = found.statistics.by_picture(LEXICON.metric)
    assert found.scores[LEXICON.metric].value == pytest.approx(sum(meteor.values()) / 2)


def test_the_order_of_files_changes_nothing():
    def backwards(mapping):
        return dict(reversed(mapping.items()))

    references = {number: ["a dog runs", "the dog"] for number in range(9)}
    predictions = {number: " ".join(["a dog", *["runs"] * number]) for number in references}
    one = evaluate_captions(references, predictions, PLAIN)
    other = evaluate_captions(backwards(references), backwards(predictions), PLAIN)
    assert one.scores == other.scores
    assert one.signature == other.signature


def test_all_of_it_is_written_as_json():
    training = Training(frozenset(["the dog runs"]), Vocabulary((*SPECIALS, "dog", "cat")))
    measures = Measures(LEXICON, training, lambda sentences: [[1.0]] * len(sentences), human=True)
    found = evaluate_captions(REFERENCES, PREDICTIONS, measures)
    content = json.loads(json.dumps(found.to_dict()))
    assert content["signature"] == found.signature
    assert (content["pictures"], content["left_out"], content["exact"]) == (2, 1, 0.5)
    bleu = content["scores"]["BLEU-1"]
    assert bleu["low"] <= bleu["value"] <= bleu["high"]
    assert content["diversity"]["novel"] == 0.5
    assert content["diversity"]["vocabulary_used"] == 0.5
    assert Similarity(**content["similarity"]) == Similarity(1, 1)
    assert (content["human"]["count"], content["human"]["left_out"]) == (2, 0)
    assert set(content["human"]["scores"]) == set(content["scores"])
    each = content["per_picture"]["1.jpg"]
    assert set(each) == {"caption", "ROUGE-L", LEXICON.metric, "CIDEr-D"}
    assert each["CIDEr-D"] == found.statistics.by_picture("CIDEr-D")["1.jpg"]


def test_what_was_not_asked_for_is_not_there():
    found = evaluate_captions(REFERENCES, PREDICTIONS, PLAIN)
    assert found.similarity is found.human is None
    table = format_evaluation(found)
    assert not re.search("human|similarity|novel|vocabulary", table)


def test_the_signature_tells_how_scores_were_made():
    origin = Origin("flickr8k/val@0123456789ab", "beams=3", "all-MiniLM-L6-v2")
    signed = evaluate_captions(REFERENCES, PREDICTIONS, PLAIN, origin=origin).signature
    fields = dict(field.split(":", 1) for field in signed.split("|"))
    assert fields["metrics"] == "BLEU+ROUGE-L+METEOR(exact,stem)+CIDEr-D"
    assert (fields["pictures"], fields["references"]) == ("2", "2")
    assert fields["dataset"] == "flickr8k/val@0123456789ab"
    assert (fields["search"], fields["similarity"]) == ("beams=3", "all-MiniLM-L6-v2")
    unknown = evaluate_captions(REFERENCES, PREDICTIONS, PLAIN).signature
    assert unknown == re.sub(r"\|(dataset|search|similarity):[^|]*", "", signed)
    edited = {**REFERENCES, "1.jpg": ["A dog runs", "The dog runs"]}
    assert evaluate_captions(edited, PREDICTIONS, PLAIN).signature != unknown
    three = evaluate_captions(REFERENCES, PREDICTIONS | {"3.jpg": "a man"}, PLAIN).signature
    other = dict(field.split(":", 1) for field in three.split("|"))
    assert (other["pictures"], other["references"]) == ("3", "1-2")
    assert other["references-sha256"] != fields["references-sha256"]


def test_the_table_has_a_line_for_each_metric():
    measures = Measures(LEXICON, human=True)
    found = evaluate_captions(REFERENCES, PREDICTIONS | {"3.jpg": "a man"}, measures)
    lines = format_evaluation(found).splitlines()
    cells = {line[:30].strip(): line[30:].split() for line in lines}
    assert cells["pictures"] == ["3"]
    assert cells["metric"] == ["value", "95%", "interval", "human"]
    for name, each in found.scores.items():
        value, low, to, high, human = cells[name]
        shown = map(float, (value, low, high, human))
        expected = (each.value, each.low, each.high, found.human.scores[name])
        assert to == "to" and list(shown) == pytest.approx(expected, abs=0.005)
    assert re.fullmatch(r"33\.3%", cells["exact"][0])
    assert "1 pictures with a single one left out" in " ".join(cells["human"])
    assert cells["signature"] == [found.signature]


def test_differences_are_of_the_same_pictures():
    found = evaluate_captions(REFERENCES, PREDICTIONS, PLAIN)
    same = compare_captions(found, dict(reversed(PREDICTIONS.items())), LEXICON)
    assert all(each.value == each.low == each.high == 0 for each in same.values())
    worse = compare_captions(found, dict.fromkeys(PREDICTIONS, "a cat"), LEXICON)
    assert worse["ROUGE-L"].value > 0
    assert format_differences(worse).count("\n") == len(found.scores)
    with pytest.raises(UserError, match=r"no prediction.*'2\.jpg'"):
        compare_captions(found, {"1.jpg": "a dog"}, LEXICON)


@pytest.mark.parametrize("predictions", [{}, {"x": "a"}, {**PREDICTIONS, "x": "a"}])
def test_predictions_for_unknown_pictures_are_refused(predictions):
    with pytest.raises(UserError, match="predictions"):
        evaluate_captions(REFERENCES, predictions, PLAIN)
