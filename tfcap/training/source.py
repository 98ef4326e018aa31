"""The batches of a training: where their pictures are encoded decides what they hold."""

import contextlib
import dataclasses
import functools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf

from records.errors import UserError
from records.manifest import Manifest
from tfcap.captioner import Captioner
from tfcap.config import RunConfig
from tfcap.data import Corrupt, Order, Passes, caption_batches, damage_named, encoded
from tfcap.data.service import distributed
from tfcap.features import (
    CacheCost,
    FeatureCache,
    FeatureSpec,
    Placement,
    bytes_needed,
    cached_features,
    choose_placement,
    find_features,
    free_bytes,
    identify_encoder,
)
from tfcap.features.spec import is_drawn
from tfcap.training.devices import Hosts

SPLITS = ("train", "val")
Encode = Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Source:
    """Gives the batches of an epoch.

    Attributes:
        config: of the run.
        manifest: of its dataset.
        captioner: in training.
        placement: where pictures are encoded.
        encode: uint8 [B, S, S, 3] to float32 [B, h, w, C].
        caches: the stored features of each split, where pictures are encoded in none.
        corrupt: counts the damaged records that are stepped over; None where they are errors.
        hosts: that share each batch.
    """

    config: RunConfig
    manifest: Manifest
    captioner: Captioner
    placement: Placement
    encode: Encode
    caches: dict[str, FeatureCache]
    corrupt: Corrupt | None = None
    hosts: Hosts = dataclasses.field(default_factory=Hosts)

    @property
    def spec(self) -> tf.TensorSpec:
        """Shape and type of a batch's `image` or `features`."""
        encoder = self.captioner.encoder
        if self.placement.where == "device":
            return tf.TensorSpec([None, *encoder.input_shape[1:]], tf.uint8)
        return tf.TensorSpec(encoder.output_shape, tf.float32)

    @property
    def on_device(self) -> Encode:
        """What makes features, float32 [B, h, w, C], of a batch's `image` or `features`."""
        return self.encode if self.placement.where == "device" else tf.identity

    def train(self, epoch: int, step: int = 0) -> tf.data.Dataset:
        """Return the batches of an epoch (counted from 0) from a step of it on.

        It is the same dataset each time: what was returned before goes on with this epoch.
        """
        if self.config.execution.data_service:
            # What travels to the service stands fast.
            return self._batches("train", self._order(epoch, step))
        passes, batches = self._passes
        passes.begin(self._order(epoch, step))
        return batches

    @functools.cached_property
    def validation(self) -> tf.data.Dataset:
        """The batches of the validation split."""
        return self._batches("val", None)

    def pixels(self) -> tf.data.Dataset:
        """Return the batches of the validation split with pixels, wherever they are encoded."""
        return self._pixels("val", None)

    @contextlib.contextmanager
    def damage_named(self) -> Iterator[None]:
        """Turn the errors of damaged and missing files, while batches are read, into one line.

        Raises:
            UserError: instead of them.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(damage_named(self.config.dataset))
            for cache in self.caches.values():
                stack.enter_context(cache.damage_named())
            yield

    @functools.cached_property
    def _passes(self) -> tuple[Passes, tf.data.Dataset]:
        passes = Passes(self._order(0, 0))
        return passes, self._batches("train", passes)

    def _order(self, epoch: int, step: int) -> Order:
        spec, hosts = self.config.training, dataclasses.asdict(self.hosts)
        return Order(spec.seed, epoch, step * spec.batch_size, window=spec.window, **hosts)

    def _batches(self, split: str, order: Order | Passes | None) -> tf.data.Dataset:
        captioner, size = self.captioner, self.config.training.batch_size
        if self.caches:
            cache = self.caches[split]
            return cache.batches(captioner.ids, captioner.max_words, size, order)
        batches = self._pixels(split, order)
        if self.placement.where == "device":
            return batches.prefetch(2)
        return encoded(batches, self.encode)

    def _pixels(self, split: str, order: Order | Passes | None) -> tf.data.Dataset:
        captioner, training = self.captioner, self.config.training
        # Validation misses no picture, and is too small a part to be worth sending.
        service = self.config.execution.data_service if order else ""
        batches = caption_batches(
            self.manifest.shard_paths(Path(self.config.dataset), split),
            captioner.picture,
            captioner.ids,
            captioner.max_words,
            training.batch_size,
            order,
            training.augment if order else None,
            self.corrupt if order else None,
            in_graph=bool(service),
        )
        # A job of its own for each pass: one that has ended has no elements left.
        return distributed(batches, service, f"tfcap-{uuid.uuid4()}") if service else batches


def place_encoder(
    config: RunConfig, manifest: Manifest, captioner: Captioner, gpus: int
) -> Placement:
    """Choose where the frozen encoder runs.

    Raises:
        UserError: `--encoder-on` is no place, or one that does not go with the recipe.
    """
    spec, wanted = config.training, _wanted_place(config)
    if wanted == "auto" and config.execution.data_service:
        return Placement("device", "a tf.data service decodes the pictures.")
    if wanted == "auto" and config.execution.skip_corrupt and not gpus:
        return Placement("pipeline", "damaged records have no features that could be stored.")
    cost = functools.partial(_cache_cost, config, manifest, captioner)
    return choose_placement(wanted, gpus=gpus, epochs=spec.epochs, augment=spec.augment, cost=cost)


def _wanted_place(config: RunConfig) -> str:
    """Return `--encoder-on`, or the one place that goes with the recipe."""
    spec, execution = config.training, config.execution
    wanted = execution.encoder_on
    if spec.views:
        if wanted not in ("auto", "cache"):
            raise UserError(f"--views {spec.views} are stored features: not on {wanted!r}")
        wanted = "cache"
    elif wanted == "cache" and is_drawn(spec.augment):
        raise UserError("crops and colours are new in every epoch: --views N to store so many")
    if wanted == "cache":
        for name in ("data_service", "skip_corrupt"):
            if getattr(execution, name):
                flag = "--" + name.replace("_", "-")
                raise UserError(f"{flag} is of records, stored features read none: leave one out")
    return wanted


def _cache_cost(config: RunConfig, manifest: Manifest, captioner: Captioner) -> CacheCost:
    features, directory = feature_specs(config, manifest, captioner), cache_directory(config)
    shape = captioner.encoder.output_shape[1:]
    return CacheCost(
        cached=all(find_features(directory, each) for each in features.values()),
        bytes_needed=sum(
            bytes_needed(manifest.records(split) * each.views, shape)
            for split, each in features.items()
        ),
        bytes_free=free_bytes(directory),
    )


def feature_specs(
    config: RunConfig, manifest: Manifest, captioner: Captioner
) -> dict[str, FeatureSpec]:
    """Return what the stored features of each split would be of."""
    spec, model = config.training, config.model
    network = f"{model.encoder}, pooled" if model.pooled else model.encoder
    encoder = identify_encoder(network, captioner.encoder)
    return {
        "train": FeatureSpec.of(manifest, "train", encoder, spec.augment, max(1, spec.views)),
        "val": FeatureSpec.of(manifest, "val", encoder, None, 1),
    }


def open_caches(
    config: RunConfig, manifest: Manifest, captioner: Captioner, encode: Encode
) -> dict[str, FeatureCache]:
    """Return the stored features of each split; writes what is missing.

    Raises:
        UserError: damage, or no room.
    """
    directory, dataset = cache_directory(config), Path(config.dataset)
    return {
        split: cached_features(directory, dataset, manifest, spec, encode)
        for split, spec in feature_specs(config, manifest, captioner).items()
    }


def cache_directory(config: RunConfig) -> Path:
    """Return the directory of stored features: as given, or beside the dataset's own."""
    dataset = Path(config.dataset)
    given = config.execution.cache
    return Path(given) if given else dataset.with_name(f"{dataset.name}.features")
