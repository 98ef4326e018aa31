"""Where the encoder runs, and what is said about it."""

import dataclasses

import pytest

from records.errors import UserError
from tfcap.augment import AugmentSpec
from tfcap.features import CacheCost, choose_placement

NOTHING = CacheCost(cached=False, bytes_needed=10**9, bytes_free=10**10)
STORED = dataclasses.replace(NOTHING, cached=True)
USUAL = {
    "gpus": 0,
    "epochs": 13,
    "augment": AugmentSpec(),
    "cost": lambda: NOTHING,
}


@pytest.mark.parametrize(
    ("changes", "where", "why"),
    [
        ({}, "cache", "2 times instead of 13, for 1,000,000,000 bytes"),
        ({"augment": AugmentSpec(flip=False), "epochs": 2}, "cache", "1 times instead of 2"),
        ({"epochs": 2}, "pipeline", "2 epochs encode no picture more often than the 2 views"),
        ({"epochs": 1, "cost": lambda: STORED}, "cache", "stored already"),
        (
            {"cost": lambda: CacheCost(False, 11, 10)},
            "pipeline",
            "take 11 bytes of disk where 10 are free",
        ),
        ({"cost": lambda: CacheCost(True, 11, 10)}, "cache", "stored already"),
        ({"augment": AugmentSpec(crop=0.3)}, "pipeline", "crops and colours"),
        ({"augment": AugmentSpec(colour=0.3)}, "pipeline", "crops and colours"),
        ({"gpus": 1, "cost": lambda: STORED}, "device", "GPU"),
    ],
)
def test_auto_chooses_by_device_epochs_augmentation_and_disk(changes, where, why):
    placement = choose_placement("auto", **{**USUAL, **changes})
    assert placement.where == where
    assert why in placement.reason
    assert placement.reason.count(".") == 1 and placement.reason.endswith(".")


@pytest.mark.parametrize("wanted", ["pipeline", "device", "cache"])
@pytest.mark.parametrize("gpus", [0, 1])
def test_what_is_asked_for_is_done_and_no_stored_features_are_looked_for(wanted, gpus):
    arguments = {**USUAL, "gpus": gpus, "cost": lambda: pytest.fail("looked for features")}
    assert choose_placement(wanted, **arguments).where == wanted


def test_an_unknown_place_is_refused_by_name():
    with pytest.raises(UserError, match=r"'gpu'.*auto, pipeline, device, cache"):
        choose_placement("gpu", **USUAL)
