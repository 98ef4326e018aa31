"""Tensors with arithmetic put off until the next layer can take it for nothing.

While a network is written down layer by layer, a factor that follows a layer waits until it is
known what comes next: a convolution absorbs the factors by channel before it and, with shifts too,
those after it. `computed` gives up waiting.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

Factor = np.ndarray | float
Pads = tuple[tuple[int, int], tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class Scaled:
    """A tensor whose factor, and then zero padding, are still to be applied.

    Attributes:
        tensor: float32 [B, h, w, C].
        scale: the factor, float64 [C] or [].
        pads: (top, bottom), (left, right).
    """

    tensor: tf.Tensor
    scale: Factor = 1.0
    pads: Pads = ((0, 0), (0, 0))

    def affine(self, scale: Factor, shift: Factor) -> "Scaled":
        """Return this times a scale, float64 [C] or [], plus a shift of that form."""
        if not np.any(shift):
            return Scaled(self.unpadded().tensor, self.scale * scale)
        return Scaled(self.computed * np.float32(scale) + np.float32(shift))

    def unpadded(self) -> "Scaled":
        """Return this with the padding applied, but not the factor: zeros stay zeros."""
        if not np.any(self.pads):
            return self
        return Scaled(tf.pad(self.tensor, [(0, 0), *self.pads, (0, 0)]), self.scale)

    @functools.cached_property
    def computed(self) -> tf.Tensor:
        """All of it applied: float32 [B, h, w, C]."""
        whole = self.unpadded()
        return whole.tensor if np.all(self.scale == 1) else whole.tensor * np.float32(self.scale)


@dataclasses.dataclass(frozen=True)
class Convolved:
    """A convolution whose kernel and bias may still change.

    Attributes:
        convolve: from kernel and bias, float32, to float32 [B, h, w, C].
        kernel: float64 [..., C].
        bias: float64 [C].
    """

    convolve: Callable[[np.ndarray, np.ndarray], tf.Tensor]
    kernel: np.ndarray
    bias: np.ndarray

    def affine(self, scale: Factor, shift: Factor) -> "Convolved":
        """Return this times a scale, float64 [C] or [], plus a shift of that form."""
        return Convolved(self.convolve, self.kernel * scale, self.bias * scale + shift)

    def unpadded(self) -> Scaled:
        """Return this computed, as a tensor with nothing put off."""
        return Scaled(self.computed)

    @functools.cached_property
    def computed(self) -> tf.Tensor:
        """The convolution applied: float32 [B, h, w, C]."""
        return self.convolve(np.float32(self.kernel), np.float32(self.bias))
