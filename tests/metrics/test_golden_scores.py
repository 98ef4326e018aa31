"""Agreement with the scores that the official COCO evaluation code gives."""

import json
import os
import time
from pathlib import Path

import pytest

from tfcap.metrics import References, read_predictions
from tfcap.metrics.meteor import load_lexicon
from tfcap.metrics.ptb import ptb_tokenize

SHARED = Path(os.environ.get("TFCAP_SHARED", Path(__file__).resolve().parents[2] / "../shared"))
GOLDEN = SHARED / "golden"

pytestmark = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="golden scores are not here; set TFCAP_SHARED to their parent"
)


def load(name):
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=["val_greedy", "val_beam3", "tricky"])
def golden_set(request):
    """Prepared references, predictions and official scores of one set."""
    references = load(f"{request.param.split('_')[0]}_references")
    predictions = read_predictions(GOLDEN / f"{request.param}_predictions.json")
    return References(references), predictions, load("scores")[request.param]


def test_scores_agree(golden_set):
    references, predictions, official = golden_set
    scores = references.score(predictions).to_dict()
    names = ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L"]
    assert [scores[name] for name in names] == pytest.approx(
        [official[name] for name in names], abs=1e-4
    )
    assert scores["CIDEr"] == pytest.approx(official["CIDEr"], abs=1e-5)
    assert scores["images"] == official["images"]


def test_each_tricky_picture_agrees():
    official = load("scores")["tricky"]["CIDEr_per_image"]
    references = References(load("tricky_references"))
    predictions = read_predictions(GOLDEN / "tricky_predictions.json")
    assert references.cider_per_picture(predictions) == pytest.approx(official, abs=1e-6)


def test_tricky_tokens_agree():
    tokens = load("scores")["tricky_tokens"]
    for picture, captions in load("tricky_references").items():
        assert [" ".join(ptb_tokenize(caption)) for caption in captions] == (
            tokens["references"][picture]
        )
    for picture, caption in read_predictions(GOLDEN / "tricky_predictions.json").items():
        assert [" ".join(ptb_tokenize(caption))] == tokens["predictions"][picture]


def test_repeated_evaluation_is_quick(golden_set):
    references, predictions, _ = golden_set
    start = time.process_time()
    references.score(predictions)
    assert time.process_time() - start < 2


def test_meteor_of_1000_pictures_is_quick_and_ranks_as_meteor_15_does():
    """The numbers are others: see `tfcap.metrics.meteor`."""
    references, scores, lexicon = References(load("val_references")), {}, load_lexicon()
    start = time.process_time()
    for name in ("val_greedy", "val_beam3"):
        predictions = read_predictions(GOLDEN / f"{name}_predictions.json")
        scores[name] = references.statistics(predictions, lexicon).scores()[lexicon.metric]
    assert time.process_time() - start < 10
    official = load("scores")
    for name, score in scores.items():
        assert score > 1.5 * official[name]["METEOR-1.5"]
    assert scores["val_beam3"] > scores["val_greedy"]
