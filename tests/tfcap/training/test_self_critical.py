"""Self-critical training: what a drawn caption is worth, and what the model makes of that."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tiny
from hypothesis import given
from hypothesis import strategies as st
from test_step import batch_of, make

from records.vocabulary import END_ID, PAD_ID, START_ID
from tfcap import runs
from tfcap.config import OptimizerSpec, TrainingSpec
from tfcap.metrics.cider import CiderReferences
from tfcap.training.objectives import SelfCritical
from tfcap.training.reward import CiderReward

SPEC = TrainingSpec(
    objective="self_critical", samples=3, optimizer=OptimizerSpec(weight_decay=0, clip_norm=1e9)
)
CAPTIONS = st.lists(st.integers(END_ID + 1, 8), max_size=5).map(lambda ids: [*ids, END_ID])


def padded(pictures):
    """Return int32 [B, K, T] of lists of lists of ids."""
    return tf.ragged.constant(pictures, ragged_rank=2).to_tensor(PAD_ID).numpy().astype(np.int32)


@given(
    st.lists(
        st.tuples(st.lists(CAPTIONS, min_size=2, max_size=2), st.lists(CAPTIONS, min_size=1)),
        min_size=2,
        max_size=4,
    )
)
def test_the_reward_is_cider_d_with_the_end_as_a_word(pictures):
    drawn, references = ([picture[part] for picture in pictures] for part in (0, 1))
    expected = CiderReferences(dict(enumerate(references)))
    found = CiderReward.of(references)(padded(drawn), padded(references))
    for row, captions in enumerate(drawn):
        for column, caption in enumerate(captions):
            assert found[row, column] == pytest.approx(expected.score(row, caption), abs=1e-5)


def test_a_picture_without_references_earns_nothing():
    reward = CiderReward.of([[[4, END_ID]], [[5, END_ID]]])
    assert reward(padded([[[4, END_ID]]]), np.zeros([1, 2, 3], np.int32)).tolist() == [[0.0]]


def objective_of(captioner, spec=SPEC):
    references = [[[4, 5, END_ID]], [[6, 5, END_ID]], [[7, END_ID]], [[8, 4, END_ID]]]
    return SelfCritical(captioner, tf.identity, spec, CiderReward.of(references))


def test_drawn_captions_are_framed_as_references_are():
    captioner, *_ = make(SPEC)
    batch = objective_of(captioner).prepare(batch_of(captioner), 0)
    inputs, targets = batch["inputs"].numpy(), batch["targets"].numpy()
    assert targets.shape[:2] == (4, 3) and batch["rewards"].shape == (4, 3)
    assert (inputs[..., 0] == START_ID).all()
    for read, said in zip(inputs.reshape(12, -1), targets.reshape(12, -1), strict=True):
        words = said[said != PAD_ID]
        assert (words[:-1] > END_ID).all()
        assert words[-1] == END_ID or len(words) == captioner.max_words
        assert read[read != PAD_ID].tolist() == [START_ID, *words[:-1]]


def test_an_end_that_was_not_chosen_is_none():
    captioner, *_ = make(SPEC)
    never = np.zeros(9, np.float32)
    never[END_ID] = -100
    captioner.decoder.output_bias.assign(never)
    batch = objective_of(captioner).prepare(batch_of(captioner), 0)
    assert batch["targets"].shape[2] == captioner.max_words
    assert not np.any(batch["targets"] == END_ID)


def test_words_that_are_never_said_win_nothing():
    captioner, *_ = make(SPEC)
    objective = objective_of(captioner)
    batch = objective.prepare(batch_of(captioner), 0)
    rewards = tf.constant(np.random.default_rng(1).random((4, 3)), tf.float32)
    with tf.GradientTape() as tape:
        parts = batch["features"], batch["inputs"], batch["targets"]
        value = objective.loss(captioner, *parts, rewards).value
    gradient = tape.gradient(value, captioner.decoder.output_bias.value).numpy()
    assert (gradient[:END_ID] == 0).all() and (gradient[END_ID:] != 0).all()


def test_draws_are_a_function_of_seed_and_step():
    captioner, *_ = make(SPEC)
    objective, batch = objective_of(captioner), batch_of(captioner)
    drawn = [objective.prepare(batch, number)["targets"].numpy().tolist() for number in (0, 1, 0)]
    assert drawn[0] == drawn[2] != drawn[1]


def test_the_loss_weighs_captions_by_what_they_earn_above_the_others_of_their_picture():
    captioner, *_ = make(SPEC)
    objective = objective_of(captioner)
    batch = objective.prepare(batch_of(captioner), 0)
    rewards = np.array([[1, 2, 6], [0, 0, 0], [1, 1, 1], [3, 0, 0]], np.float32)
    parts = batch["features"], batch["inputs"], batch["targets"]
    found = objective.loss(captioner, *parts, tf.constant(rewards))
    # Of what the search can say: the words from <end> on.
    logits = captioner.decoder.logits(captioner.decoder(*parts[:2])).numpy()[..., END_ID:]
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    targets = batch["targets"].numpy()
    places = np.maximum(targets - END_ID, 0)[..., None]
    of_words = -np.take_along_axis(log_probs, places, axis=-1)[..., 0]
    of_captions = (of_words * (targets != PAD_ID)).sum(axis=2)
    expected = sum(
        (rewards[row, i] - np.delete(rewards[row], i).mean()) * of_captions[row, i]
        for row in range(4)
        for i in range(3)
    )
    assert float(found.value) == pytest.approx(expected, rel=1e-4)
    assert float(found.shown / found.shown_count) == pytest.approx(-rewards.mean(), rel=1e-6)


def test_captions_that_earn_more_become_likelier():
    captioner, state, step = make(SPEC, objective=objective_of)
    batch = batch_of(captioner)
    references = padded([[[4, 5, END_ID]], [[6, 5, END_ID]], [[7, END_ID]], [[8, 4, END_ID]]])
    batch["targets"] = tf.constant(references)
    losses = [float(step(batch, number, (1e-2, 0))) for number in range(40)]
    assert np.mean(losses[-5:]) < 2 * np.mean(losses[:5]) < 0  # the negative reward
    assert state.mean_loss() == pytest.approx(np.mean(losses), rel=1e-5)


FLAGS = ("--objective", "self_critical", "--samples", "3", "--learning-rate", "0.01")


def test_a_run_goes_on_from_another_and_is_its_own(dataset, run, tmp_path, capsys):
    reinforced = tmp_path / "reinforced"
    assert tiny.main(["train", "--from", str(run), "--run", str(reinforced), *FLAGS]) == 0
    config = json.loads((reinforced / runs.CONFIG).read_text())
    assert config["decoder_fingerprint"] == runs.weights_fingerprint(str(run / runs.DECODER))
    assert all(epoch["loss"] <= 0 < epoch["val_loss"] for epoch in runs.read_history(reinforced))
    # Whole by itself: its captioner needs no file of the other's.
    assert tiny.main(["evaluate", "--run", str(reinforced), "--dataset", str(dataset)]) == 0
    capsys.readouterr()
    other = ["train", "--from", str(tmp_path), "--run", str(tmp_path / "none"), *FLAGS]
    assert tiny.main(other) == 2
    assert "is no run of `tfcap train`" in capsys.readouterr().err


def test_a_wrong_objective_is_refused_in_one_line(dataset, tmp_path, capsys):
    for flags in (["--objective", "fame"], ["--samples", "1"]):
        assert tiny.train(dataset, tmp_path / "run", *flags) == 2
        assert flags[0][2:] in capsys.readouterr().err
