"""The course of a training: pure functions of history and step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcap.config import FineTuneSpec, OptimizerSpec, TrainingSpec
from tfcap.training.schedule import (
    fine_tunes,
    is_over,
    learning_rates,
    plateaus,
    training_phases,
)

CIDERS = st.lists(st.floats(0, 2), max_size=12)


def history_of(ciders):
    return [{"val_CIDEr": cider} for cider in ciders]


@pytest.mark.parametrize(
    ("ciders", "epochs", "over"),
    [([], 5, False), ([0.1], 1, True), ([0.3, 0.2, 0.1], 9, True), ([0.3, 0.2], 9, False)],
)
def test_training_ends_with_its_epochs_or_its_patience(ciders, epochs, over):
    assert is_over(history_of(ciders), TrainingSpec(epochs=epochs, patience=2)) is over


@pytest.mark.parametrize(
    ("ciders", "tunes", "over"),
    [
        ([0.1, 0.2, 0.3], False, False),  # still learning
        ([0.1, 0.2, 0.3, 0.4], True, False),  # the last two of six epochs
        ([0.3, 0.2, 0.1], True, False),  # patience has run out
        ([0.3, 0.2, 0.1, 0.5, 0.6], True, True),  # two epochs after that
    ],
)
def test_the_encoder_joins_when_the_decoder_has_settled(ciders, tunes, over):
    spec = TrainingSpec(epochs=6, patience=2, fine_tune=FineTuneSpec(epochs=2))
    assert fine_tunes(history_of(ciders), spec) is tunes
    assert is_over(history_of(ciders), spec) is over


def test_the_phase_of_each_epoch_is_told():
    history = history_of([0.3, 0.2, 0.1, 0.5])
    tuned = TrainingSpec(epochs=6, patience=2, fine_tune=FineTuneSpec(epochs=2))
    assert training_phases(history, tuned) == ["frozen encoder"] * 3 + ["fine-tuning"]
    assert training_phases(history, TrainingSpec(patience=1)) == ["frozen encoder"] * 4
    assert training_phases([], tuned) == []


@given(CIDERS, st.integers(1, 4), st.integers(0, 3))
def test_every_training_ends(ciders, patience, tuned):
    spec = TrainingSpec(epochs=8, patience=patience, fine_tune=FineTuneSpec(epochs=tuned))
    over = [is_over(history_of(ciders[:epochs]), spec) for epochs in range(len(ciders) + 1)]
    assert over == sorted(over)  # once over, always over
    assert len(ciders) < 8 or over[8]


def rates_of(optimizer, steps, history=()):
    spec = TrainingSpec(epochs=4, optimizer=optimizer)
    return [learning_rates(spec, history, step, 10)[0] for step in range(steps)]


def test_the_learning_rate_rises_in_a_line_and_falls_along_a_cosine():
    rates = rates_of(OptimizerSpec(warmup_epochs=1, learning_rate=0.1), 41)
    assert rates[0] == 0 and rates[10] == pytest.approx(0.1) and rates[40] == pytest.approx(0)
    assert rates[25] == pytest.approx(0.05)
    assert rates[:11] == sorted(rates[:11]) and rates[10:] == sorted(rates[10:], reverse=True)


def test_the_rate_of_an_epoch_follows_that_of_the_one_before():
    whole = rates_of(OptimizerSpec(), 20)
    assert rates_of(OptimizerSpec(), 10, history_of([0.1])) == whole[10:]


@pytest.mark.parametrize(
    ("ciders", "count"),
    [
        ([], 0),
        ([0.1, 0.2, 0.2], 0),
        ([0.2, 0.1, 0.2], 1),
        ([0.3, 0.1, 0.1, 0.2, 0.2], 2),
        ([0.3, 0.1, 0.4, 0.1], 0),
    ],
)
def test_a_plateau_lowers_the_rate(ciders, count):
    spec = OptimizerSpec(schedule="plateau", plateau_patience=2, plateau_factor=0.1)
    assert plateaus(history_of(ciders), spec) == count
    if ciders:
        assert rates_of(spec, 1, history_of(ciders))[0] == pytest.approx(1e-3 * 0.1**count)


def test_the_encoder_has_a_rate_of_its_own():
    spec = TrainingSpec(epochs=4, fine_tune=FineTuneSpec(epochs=2, learning_rate=1e-5))
    assert learning_rates(spec, history_of([0.1]), 5, 10)[1] == 0
    assert learning_rates(spec, history_of([0.1, 0.2]), 0, 10)[1] == pytest.approx(1e-5)
    assert learning_rates(spec, history_of([0.1, 0.2, 0.3]), 0, 10)[1] == pytest.approx(5e-6)
