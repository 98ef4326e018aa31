"""One device or several: each global batch is split over them, and they stay in step."""

import tensorflow as tf

from records.errors import UserError
from records.vocabulary import PAD_ID


def choose_strategy(devices: int) -> tf.distribute.Strategy:
    """Return the strategy for a number of devices: GPUs if there are any, CPUs otherwise.

    Args:
        devices: how many; 0 is all GPUs, or one CPU.

    Raises:
        UserError: there are not so many.
    """
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    there = [device.name for device in tf.config.list_logical_devices(kind)]
    wanted = devices or (len(there) if kind == "GPU" else 1)
    if wanted > len(there):
        raise UserError(f"--devices {wanted}: only {len(there)} {kind} here: ask for no more")
    if wanted == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(there[:wanted])


def share_of(
    batch: tuple[tf.Tensor, tf.Tensor, tf.Tensor], replica: int | tf.Tensor, replicas: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the part of a batch that a replica trains on: contiguous rows, as many for each.

    A batch that does not divide is filled up with rows without words, which count nothing.

    Args:
        batch: (pictures [B, ...], inputs [B, K, T], targets [B, K, T]).
        replica: its number.
        replicas: how many there are.
    """
    if replicas == 1:
        return batch
    pictures, inputs, targets = batch
    rows = tf.shape(inputs)[0]
    share = (rows + replicas - 1) // replicas
    mine = replica * share + tf.range(share)
    there = tf.minimum(mine, rows - 1)
    targets = tf.where((mine < rows)[:, None, None], tf.gather(targets, there), PAD_ID)
    return tf.gather(pictures, there), tf.gather(inputs, there), targets
