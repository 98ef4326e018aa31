"""Several runs that speak as one, and what one learns from them."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tiny
from test_step import batch_of, make

from records.vocabulary import PAD_ID
from tfcap import runs
from tfcap.config import TrainingSpec
from tfcap.training.objectives import Distillation


@pytest.fixture(scope="module")
def other(dataset, run, tmp_path_factory):
    """A run of another seed, with the encoder of the first."""
    directory = tmp_path_factory.mktemp("other") / "run"
    flags = ["--seed", "2", "--encoder-weights", str(run / runs.ENCODER), "--decoder", "rnn"]
    assert tiny.train(dataset, directory, *flags) == 0
    return directory


def test_an_ensemble_evaluates_as_it_is_exported(dataset, run, other, tmp_path):
    together = ["--run", str(run), "--ensemble", str(other)]
    base = tmp_path / "base"
    assert tiny.main(["export", *together, "--output", str(base), "--beams", "2"]) == 0
    assert json.loads((base / "1/assets.extra/tfcap.json").read_text())["members"] == 2
    path = tmp_path / "predictions.json"
    own = tiny.predict(dataset, path, *together, "--beams", "2")
    assert tiny.predict(dataset, path, "--model", str(base)) == own


def test_runs_that_do_not_go_together_are_refused(dataset, run, tmp_path, capsys):
    apart = tmp_path / "apart"
    assert tiny.train(dataset, apart, "--seed", "9", "--max-words", "7", "--epochs", "1") == 0
    command = ["evaluate", "--dataset", str(dataset), "--run", str(run), "--ensemble", str(apart)]
    assert tiny.main(command) == 2
    assert "it differs in: max_words, encoder" in capsys.readouterr().err
    assert tiny.main([*command, "--epoch", "1"]) == 2
    assert "leave one out" in capsys.readouterr().err


def test_the_loss_of_a_distillation_is_the_cross_entropy_with_the_teacher():
    captioner, *_ = make(TrainingSpec())
    teacher = make(TrainingSpec(), decoder="transformer")[0].decoder
    batch = batch_of(captioner)
    targets = tf.where(batch["targets"] == 7, PAD_ID, batch["targets"])
    for layer in captioner.decoder._flatten_layers():
        if hasattr(layer, "rate"):
            layer.rate = 0.0
    found = Distillation(teacher).loss(captioner, batch["features"], batch["inputs"], targets)

    def probabilities(decoder):
        logits = decoder.logits(decoder(batch["features"], batch["inputs"]))
        return tf.nn.softmax(logits).numpy()

    losses = -(probabilities(teacher) * np.log(probabilities(captioner.decoder))).sum(-1)
    assert float(found.value) == pytest.approx(losses[targets != PAD_ID].sum(), rel=1e-4)
    assert float(found.shown_count) == (targets.numpy() != PAD_ID).sum()


def test_one_run_learns_from_several(dataset, run, other, tmp_path, capsys):
    pupil = tmp_path / "pupil"
    flags = ["--encoder-weights", str(run / runs.ENCODER), "--objective", "distillation"]
    assert tiny.train(dataset, pupil, *flags, "--teacher", str(run), str(other)) == 0
    epochs = runs.read_history(pupil)
    assert epochs[-1]["loss"] < epochs[0]["loss"] and epochs[-1]["accuracy"] > 0
    capsys.readouterr()
    assert tiny.train(dataset, pupil, *flags, "--teacher", str(run)) == 2  # not the same run
    assert "teacher_fingerprint" in capsys.readouterr().err
    assert tiny.train(dataset, tmp_path / "none", *flags) == 2
    assert "a distillation, which wants one or more" in capsys.readouterr().err
    begun = ["train", "--from", str(pupil), "--run", str(tmp_path / "on"), "--epochs", "1"]
    assert tiny.main([*begun, "--objective", "cross_entropy"]) == 0
