"""Where the encoder runs: in the input pipeline, in the training step, or once and for all."""

import dataclasses
from collections.abc import Callable

from records.errors import UserError
from tfcap.augment import AugmentSpec
from tfcap.features.spec import is_drawn, view_count

PLACEMENTS = ("auto", "pipeline", "device", "cache")


@dataclasses.dataclass(frozen=True)
class Placement:
    """A place, and why it was chosen.

    Attributes:
        where: "pipeline" (in tf.data, on the CPU, while the step trains), "device" (the first part
            of the step, while tf.data fetches pixels) or "cache" (features are written once).
        reason: one sentence, to be printed.
    """

    where: str
    reason: str


@dataclasses.dataclass(frozen=True)
class CacheCost:
    """What a feature cache would take.

    Attributes:
        cached: whether it is there already.
        bytes_needed: on the disk.
        bytes_free: on that disk.
    """

    cached: bool
    bytes_needed: int
    bytes_free: int


def choose_placement(
    wanted: str, *, gpus: int, epochs: int, augment: AugmentSpec, cost: Callable[[], CacheCost]
) -> Placement:
    """Choose where the encoder runs.

    Args:
        wanted: one of `PLACEMENTS`.
        gpus: that training runs on.
        epochs: that are to be trained.
        augment: how pictures are varied.
        cost: of the feature cache; asked for only where it decides.

    Raises:
        UserError: `wanted` is none of `PLACEMENTS`.
    """
    if wanted not in PLACEMENTS:
        raise UserError(
            f"unknown place {wanted!r} for the encoder: choose one of {', '.join(PLACEMENTS)}"
        )
    if wanted != "auto":
        return Placement(wanted, "you asked for it.")
    if gpus:
        return Placement("device", "a GPU encodes faster than the CPU that would feed it.")
    return _choose_on_cpu(epochs, augment, cost())


def _choose_on_cpu(epochs: int, augment: AugmentSpec, cost: CacheCost) -> Placement:
    if cost.cached:
        return Placement("cache", "there is no GPU, and the features are stored already.")
    if is_drawn(augment):
        reason = "there is no GPU, and crops and colours are new in every epoch."
        return Placement("pipeline", reason)
    encodings = view_count(augment, views=1)
    if epochs <= encodings:
        reason = (
            f"there is no GPU, and {epochs} epochs encode no picture more often than the "
            f"{encodings} views that a cache would store."
        )
        return Placement("pipeline", reason)
    if cost.bytes_needed > cost.bytes_free:
        reason = (
            f"there is no GPU, and a cache would take {cost.bytes_needed:,} bytes of disk where "
            f"{cost.bytes_free:,} are free."
        )
        return Placement("pipeline", reason)
    reason = (
        f"there is no GPU, and each picture is encoded {encodings} times instead of {epochs}, "
        f"for {cost.bytes_needed:,} bytes of disk."
    )
    return Placement("cache", reason)
