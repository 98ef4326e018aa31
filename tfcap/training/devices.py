"""One device or several, on one host or several: they share each batch, and stay in step."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator

import tensorflow as tf

from records.errors import UserError
from records.vocabulary import PAD_ID

_CLUSTER = "TF_CONFIG"  # the environment variable by which TensorFlow tells hosts of each other
_ALONE = "Collective ops is aborted"  # in the messages of TensorFlow, that a host has gone


@dataclasses.dataclass(frozen=True)
class Hosts:
    """The machines that train together.

    Attributes:
        host: this one, from 0; host 0 is the chief, which alone writes the run directory.
        hosts: how many there are.
    """

    host: int = 0
    hosts: int = 1

    @classmethod
    def here(cls) -> "Hosts":
        """Read TF_CONFIG; one host where it is not set.

        Raises:
            UserError: it does not say which of which hosts this is.
        """
        text = os.environ.get(_CLUSTER)
        if not text:
            return cls()
        try:
            content = json.loads(text)
            cluster, task = content["cluster"], content["task"]
            tasks = [
                (kind, i) for kind in ("chief", "worker") for i in range(len(cluster.get(kind, ())))
            ]
            return cls(tasks.index((task["type"], int(task["index"]))), len(tasks))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{_CLUSTER}={text!r} names no cluster and task of it ({error}): "
                "see README, or unset it"
            ) from None

    @property
    def chief(self) -> bool:
        """Whether this host writes the run directory."""
        return self.host == 0

    def check_batches(self, records: int, batch_size: int) -> None:
        """Find that every batch of an epoch has a record for each host.

        Raises:
            UserError: one does not.
        """
        if batch_size % self.hosts:
            raise UserError(
                f"{self.hosts} hosts cannot share batches of {batch_size}: choose a multiple"
            )
        if 0 < records % batch_size < self.hosts:
            raise UserError(
                f"{records} records end in a batch of {records % batch_size} for {self.hosts} "
                f"hosts: choose another --batch-size than {batch_size}"
            )


def choose_strategy(devices: int, hosts: Hosts = Hosts()) -> tf.distribute.Strategy:
    """Return the strategy for a number of devices: GPUs if there are any, CPUs otherwise.

    Of several hosts, each brings all of its GPUs, or its CPU. TensorFlow wants to know of them
    before it does anything else.

    Args:
        devices: how many; 0 is all GPUs, or one CPU.
        hosts: that train together.

    Raises:
        UserError: there are not so many, or several hosts are to take fewer than they have.
    """
    if hosts.hosts > 1:
        if devices:
            raise UserError(f"--devices {devices}: each host brings all it has: leave it out")
        return tf.distribute.MultiWorkerMirroredStrategy()
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    there = [device.name for device in tf.config.list_logical_devices(kind)]
    wanted = devices or (len(there) if kind == "GPU" else 1)
    if wanted > len(there):
        raise UserError(f"--devices {wanted}: only {len(there)} {kind} here: ask for no more")
    if wanted == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(there[:wanted])


def meet(strategy: tf.distribute.Strategy, hosts: Hosts) -> None:
    """Wait until all hosts are here."""

    def count():
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.constant(1.0))

    if hosts.hosts > 1:
        tf.function(lambda: strategy.run(count), autograph=False)()


@contextlib.contextmanager
def lost_hosts_named() -> Iterator[None]:
    """Turn the error of a host that is not there any more into one line.

    Raises:
        UserError: instead of it.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if _ALONE not in error.message:
            raise
        raise UserError(
            "another host has gone: start all of them again, and training goes on from the last "
            f"checkpoint ({error.message.partition(_ALONE)[2].splitlines()[0].strip(' by:')})"
        ) from None


def share_of(
    batch: tuple[tf.Tensor, ...], replica: int | tf.Tensor, replicas: int
) -> tuple[tf.Tensor, ...]:
    """Return the part of a batch that a replica trains on: contiguous rows, as many each.

    A batch that does not divide is filled up with rows without words, which count nothing.

    Args:
        batch: (pictures [B, ...], inputs [B, K, T], targets [B, K, T], others [B, ...]).
        replica: its number on this host.
        replicas: how many this host has.
    """
    if replicas == 1:
        return batch
    pictures, inputs, targets, *others = batch
    rows = tf.shape(inputs)[0]
    share = (rows + replicas - 1) // replicas
    mine = replica * share + tf.range(share)
    there = tf.minimum(mine, rows - 1)
    targets = tf.where((mine < rows)[:, None, None], tf.gather(targets, there), PAD_ID)
    pictures, inputs, *others = (tf.gather(part, there) for part in (pictures, inputs, *others))
    return pictures, inputs, targets, *others
