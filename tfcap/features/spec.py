"""What stored features are features of: the key of a feature cache, and how large it is."""

import dataclasses
import hashlib
import math

import keras
import numpy as np

from records.manifest import Manifest
from records.pictures import PictureSpec
from records.specs import Spec
from tfcap.augment import AugmentSpec

# Bytes of a record beside its features: the picture's key, five captions of 60 bytes, the framing.
_RECORD_BYTES = 1024


@dataclasses.dataclass(frozen=True)
class EncoderIdentity(Spec):
    """An encoder, to the last bit of its weights.

    Attributes:
        network: a key of `tfcap.encoders.ENCODERS`.
        size: side of the square input in pixels.
        weights: SHA-256 of the weights, 64 hex digits.
    """

    network: str
    size: int
    weights: str


def identify_encoder(network: str, encoder: keras.Model) -> EncoderIdentity:
    """Return the identity of an encoder with the weights that it has now.

    The hash goes over data type, shape and little-endian values of each weight, in the model's
    order; names do not count, since Keras numbers them by process.
    """
    digest = hashlib.sha256()
    for variable in encoder.weights:
        values = np.asarray(variable)
        digest.update(f"{values.dtype.name} {values.shape}\n".encode())
        digest.update(np.ascontiguousarray(values, values.dtype.newbyteorder("<")))
    return EncoderIdentity(network, encoder.input_shape[1], digest.hexdigest())


@dataclasses.dataclass(frozen=True)
class FeatureSpec(Spec):
    """The features of one split; `digest()` is the key that they are stored under.

    Attributes:
        dataset: fingerprint of the dataset's manifest.
        split: of the dataset.
        encoder: what encoded the pictures.
        picture: how pictures became pixels.
        augment: how they were varied.
        views: features stored of each picture, see `view_count`.
        version: raised whenever the same pictures would get other features, or another layout.
    """

    dataset: str
    split: str
    encoder: EncoderIdentity
    picture: PictureSpec
    augment: AugmentSpec
    views: int
    version: int = 1

    def __post_init__(self):
        if self.views < 1 or self.views != view_count(self.augment, self.views):
            raise ValueError(f"views is {self.views}, which does not fit {self.augment}")
        if self.encoder.size != self.picture.size:
            raise ValueError(
                f"the encoder takes {self.encoder.size} pixels, pictures have {self.picture.size}"
            )

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        split: str,
        encoder: EncoderIdentity,
        augment: AugmentSpec | None,
        views: int,
    ) -> "FeatureSpec":
        """Return the spec of a dataset's split.

        Args:
            manifest: of the dataset.
            split: of the dataset.
            encoder: what encodes the pictures.
            augment: how they are varied; None is not at all.
            views: stored of each picture where it is cropped or its colours change.
        """
        augment = augment or AugmentSpec(flip=False)
        count = view_count(augment, views)
        return cls(manifest.fingerprint, split, encoder, manifest.picture, augment, count)

    @classmethod
    def from_dict(cls, fields):
        parts = {"encoder": EncoderIdentity, "picture": PictureSpec, "augment": AugmentSpec}
        parsed = {name: part.from_dict(fields[name]) for name, part in parts.items()}
        return cls(**{**fields, **parsed})


def bytes_needed(records: int, shape: tuple[int, int, int]) -> int:
    """Return about how many bytes so many records take, with feature maps (h, w, C) of float32."""
    return records * (4 * math.prod(shape) + _RECORD_BYTES)


def is_drawn(augment: AugmentSpec) -> bool:
    """Tell whether views are drawn at random from more than can be stored."""
    return bool(augment.crop or augment.colour)


def view_count(augment: AugmentSpec, views: int) -> int:
    """Return how many views of each picture are stored.

    Args:
        augment: how pictures are varied. Nothing has one view; flips alone have two, the plain
            picture and the mirrored one, which are all that there are.
        views: of crops and colours, which are drawn: as many as asked for.
    """
    if is_drawn(augment):
        return views
    return 2 if augment.flip else 1
