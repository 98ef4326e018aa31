"""Views in the graph: the variants of a picture that a feature cache stores, and which is shown."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfcap.augment import AugmentSpec, augment, speaks_of_sides
from tfcap.data import Order
from tfcap.features.spec import FeatureSpec, is_drawn


def make_view(
    image: tf.Tensor, texts: tf.Tensor, number: tf.Tensor, view: int, spec: FeatureSpec
) -> tf.Tensor:
    """Return one view of a picture, uint8 [S, S, 3].

    Of flips alone, view 0 is the picture as it is and view 1 mirrored; the two are equal where a
    caption speaks of left or right. Of crops and colours, each view has a seed of its own.

    Args:
        image: uint8 [S, S, 3].
        texts: string [n], its cleaned captions.
        number: int64 [], the record's in its split.
        view: from 0.
        spec: of the features.
    """
    if is_drawn(spec.augment):
        seed = tf.stack([number, tf.constant(view, tf.int64)])
        return augment(image, texts, seed, spec.augment)
    if view == 0:
        return image
    return tf.where(speaks_of_sides(texts), image, tf.reverse(image, axis=[1]))


def shown_view(seed: tf.Tensor, spec: FeatureSpec) -> tf.Tensor:
    """Return which view of a picture training sees, int32 [].

    Of flips alone it is the one that `tfcap.augment.augment` makes with this seed.

    Args:
        seed: int64 [2], of the epoch and the position in it.
        spec: of the features.
    """
    if is_drawn(spec.augment):
        return tf.random.stateless_uniform([], seed, maxval=spec.views, dtype=tf.int32)
    if not spec.augment.flip:
        return tf.constant(0)
    # Two columns that hold their own numbers: the first one tells whether they were exchanged.
    # Captions need not be asked: where they forbid the mirrored view, it equals the plain one.
    columns = tf.constant([[[0], [1]]], tf.uint8)
    shown = augment(columns, tf.constant([], tf.string), seed, AugmentSpec(flip=True))
    return tf.cast(shown[0, 0, 0], tf.int32)


@tf.function
def _shown_views(seed: tf.Tensor, count: tf.Tensor, spec: FeatureSpec) -> tf.Tensor:
    """Return the views, int32 [count], that an epoch of this seed shows at its positions."""
    return tf.map_fn(
        lambda position: shown_view(tf.stack([seed, position]), spec),
        tf.range(count),
        fn_output_signature=tf.int32,
    )


@dataclasses.dataclass(frozen=True)
class ViewOrder(Order):
    """The order of an epoch over shards of all views, the first view's before the second's.

    It takes the pictures that `Order` takes, each from the shards of the view that it shows.

    Attributes:
        spec: of the features.
        stored: whether to take the first view of each picture as they are stored instead.
    """

    spec: FeatureSpec | None = None
    stored: bool = False

    @classmethod
    def of(cls, order: Order | None, spec: FeatureSpec) -> "ViewOrder":
        """Return the order that shows the views of `spec`; as stored where there is none."""
        if order is None:
            return cls(seed=0, epoch=0, spec=spec, stored=True)
        return cls(**vars(order), spec=spec)

    def permutation(self, counts):
        counts = counts[: len(counts) // self.spec.views]  # of the first view
        if self.stored:
            return np.arange(sum(counts))
        pictures = super().permutation(counts)
        with tf.device("CPU"):
            seed, count = (tf.constant(n, tf.int64) for n in (self.epoch_seed(), len(pictures)))
            views = _shown_views(seed, count, self.spec)
        return pictures + len(pictures) * views.numpy().astype(np.int64)

    def positions(self, permutation, batch_size=None):
        # Hosts share a batch by the numbers of its pictures, whichever view they show.
        return super().positions(permutation % len(permutation), batch_size)
