"""One dataset for all epochs: what its passes differ in stands in variables.

TensorFlow keeps some 5 MB of every dataset of training that was ever gone through, so a new one in
each epoch would fill the memory in the end.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfcap.data.order import Order

Compute = Callable[[Order], Sequence[np.ndarray]]


class Passes:
    """The passes over a dataset, each in an order of its own.

    Attributes:
        order: of the next pass; all have its hosts and its window.
    """

    def __init__(self, order: Order):
        self.order = order
        self._begins: list[Callable[[Order], None]] = []

    @classmethod
    def of(cls, order: "Order | Passes") -> "Passes":
        """Return passes as they are; of an order, passes that all have it."""
        return order if isinstance(order, cls) else cls(order)

    def begin(self, order: Order) -> None:
        """Give what is iterated from now on another order.

        Raises:
            UserError: as of what computes the variables.
        """
        self.order = order
        for begin in self._begins:
            begin(order)

    def variables(self, compute: Compute) -> list[tf.Variable]:
        """Return int64 variables that hold what an order gives in every pass.

        Args:
            compute: arrays of the same ranks for all orders; from pass to pass, the size of their
                first dimensions may change.
        """
        values = [np.asarray(value, np.int64) for value in compute(self.order)]
        with tf.device("CPU"):
            held = [
                tf.Variable(value, trainable=False, shape=[None, *value.shape[1:]][: value.ndim])
                for value in values
            ]

        def begin(order):
            for variable, value in zip(held, compute(order), strict=True):
                variable.assign(value)

        self._begins.append(begin)
        return held

    def seen_as(self, change: Callable[[Order], Order]) -> "Passes":
        """Return passes that follow these, each order changed."""
        others = Passes(change(self.order))
        self._begins.append(lambda order: others.begin(change(order)))
        return others
