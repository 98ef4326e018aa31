"""Pretraining: an encoder learns from the captions alone which words hold of a picture.

For whoever has no ImageNet weights. Nobody says where in the picture a word applies, so each cell
of the feature map scores every word, and the picture's score is pooled from its cells'
(multiple-instance learning, as in Fang et al. 2015, "From Captions to Visual Concepts and Back",
https://arxiv.org/abs/1411.4952). The decoder's attention then finds each word's evidence in its
place on the map.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras
import tensorflow as tf
from tqdm import tqdm

from records.manifest import VOCABULARY, Manifest
from records.specs import Spec
from records.vocabulary import SPECIALS, Vocabulary
from tfcap.augment import AugmentSpec
from tfcap.data import Order, Passes, caption_batches, damage_named
from tfcap.encoders import build_encoder
from tfcap.text import CaptionIds
from tfcap.training.schedule import warm_cosine

CALIBRATION_PICTURES = 512  # that the statistics of batch normalization are taken from


@dataclasses.dataclass(frozen=True)
class PretrainingSpec(Spec):
    """How an encoder is pretrained.

    Attributes:
        epochs: passes over the training split.
        batch_size: pictures a step.
        learning_rate: peak of the schedule, the same as of `OptimizerSpec`.
        warmup_epochs: may be a fraction.
        seed: of weights, order and flips.
    """

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 2e-3
    warmup_epochs: float = 0.5
    seed: int = 1

    def __post_init__(self):
        for name in ("epochs", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.batch_size < 2:
            raise ValueError(f"batch_size must be at least 2, got {self.batch_size}")
        for name in ("warmup_epochs", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")


def pretrain(name: str, dataset: Path, manifest: Manifest, spec: PretrainingSpec) -> keras.Model:
    """Train an encoder from random weights on the training split of a dataset.

    Args:
        name: a key of `tfcap.encoders.ENCODERS`.
        dataset: directory of the records.
        manifest: of that dataset.
        spec: the recipe.

    Returns:
        The encoder, frozen, as of `build_encoder`.

    Raises:
        UserError: unknown encoder, no training split, no vocabulary, or damaged records.
    """
    vocabulary = Vocabulary.read(dataset / VOCABULARY)
    ids, shards = CaptionIds(vocabulary), manifest.shard_paths(dataset, "train")
    longest = manifest.statistics.caption_words_max

    passes = Passes(Order(spec.seed, epoch=0))
    batches = caption_batches(
        shards, manifest.picture, ids, longest, spec.batch_size, passes, AugmentSpec()
    ).prefetch(tf.data.AUTOTUNE)

    def epoch_batches(epoch: int) -> Iterator[dict]:
        passes.begin(Order(spec.seed, epoch))
        with damage_named(dataset):
            yield from batches

    keras.utils.set_random_seed(spec.seed)
    encoder = build_encoder(name, manifest.picture.size, "none")
    records = manifest.records("train")
    steps = math.ceil(records / spec.batch_size)
    warmup = max(1, round(spec.warmup_epochs * steps))
    detector = WordDetector(encoder, len(vocabulary), spec.learning_rate)
    for epoch in range(spec.epochs):
        losses = keras.metrics.Mean()
        with tqdm(desc=f"epoch {epoch + 1}/{spec.epochs}", total=records, unit=" pictures") as bar:
            for step, batch in enumerate(epoch_batches(epoch), epoch * steps):
                rate = warm_cosine(spec.learning_rate, step, warmup, spec.epochs * steps)
                detector.optimizer.learning_rate.assign(rate)
                losses.update_state(detector.train_step(batch["image"], batch["targets"]))
                bar.set_postfix(loss=f"{float(losses.result()):.3f}", refresh=False)
                bar.update(len(batch["key"]))
    calibration = math.ceil(CALIBRATION_PICTURES / spec.batch_size)
    some = itertools.islice(epoch_batches(spec.epochs), calibration)
    set_batch_statistics(encoder, (batch["image"] for batch in some))
    encoder.trainable = False
    return encoder


def word_labels(targets: tf.Tensor, vocabulary_size: int) -> tf.Tensor:
    """Tell which words occur in the captions of each picture.

    Args:
        targets: int32 [B, K, T], word ids; special tokens do not count.
        vocabulary_size: V, special tokens included.

    Returns:
        float32 [B, V - specials], 1 where the word occurs and 0 elsewhere.
    """
    words = tf.reshape(targets, [tf.shape(targets)[0], -1]) - len(SPECIALS)
    # `one_hot` of a negative index is all zeros: the special tokens drop out.
    return tf.reduce_max(tf.one_hot(words, vocabulary_size - len(SPECIALS)), axis=1)


def pool_cells(scores: tf.Tensor) -> tf.Tensor:
    """Pool the scores of a map's cells: the logarithm of their mean exponential.

    A smooth maximum (Pinheiro & Collobert 2015, "From Image-level to Pixel-level Labeling with
    Convolutional Networks", equation 2 with r = 1, https://arxiv.org/abs/1411.6228): one cell
    suffices to make a score high, and every cell gets its share of the gradient.

    Args:
        scores: float [B, h, w, W], logits of each word at each cell.

    Returns:
        float [B, W], between the cells' mean and their maximum.
    """
    cells = tf.cast(tf.shape(scores)[1] * tf.shape(scores)[2], scores.dtype)
    return tf.reduce_logsumexp(scores, axis=[1, 2]) - tf.math.log(cells)


class WordDetector:
    """An encoder in training under a linear layer that scores the words at each cell."""

    def __init__(self, encoder: keras.Model, vocabulary_size: int, learning_rate):
        self.encoder = encoder
        encoder.trainable = True
        self.vocabulary_size = vocabulary_size
        self.head = keras.layers.Dense(vocabulary_size - len(SPECIALS))
        self.head.build(encoder.output_shape)
        self.variables = encoder.trainable_variables + self.head.trainable_variables
        # The first steps, which learn the words' frequencies, have by far the largest gradients;
        # the default memory of their squares, 1,000 steps, may outlast a short training.
        self.optimizer = keras.optimizers.Adam(learning_rate, beta_2=0.95)
        self.optimizer.build(self.variables)

    @tf.function(reduce_retracing=True)
    def train_step(self, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Make one step of the optimizer.

        Args:
            images: uint8 [B, S, S, 3].
            targets: int32 [B, K, T], word ids.

        Returns:
            The loss before the step, float []: nats per picture, summed over the words.
        """
        labels = word_labels(targets, self.vocabulary_size)
        with tf.GradientTape() as tape:
            features = self.encoder(tf.cast(images, tf.float32), training=True)
            scores = pool_cells(self.head(features))
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=scores)
            loss = tf.reduce_mean(tf.reduce_sum(losses, axis=-1))
        gradients = tape.gradient(loss, self.variables)
        self.optimizer.apply_gradients(zip(gradients, self.variables, strict=True))
        return loss


def set_batch_statistics(encoder: keras.Model, images: Iterable[tf.Tensor]) -> None:
    """Set the moving statistics of batch normalization to their mean over some batches.

    The moving averages of a short training lag behind the weights: those of MobileNetV3 have a
    momentum of 0.999. As in Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and
    Better Generalization", section 3.2, https://arxiv.org/abs/1803.05407.

    Args:
        encoder: its layers' momentums are restored afterwards.
        images: uint8 [B, S, S, 3] each.
    """
    layers = [
        layer for layer in encoder.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momentums = [layer.momentum for layer in layers]
    for count, batch in zip(itertools.count(), images, strict=False):
        for layer in layers:
            layer.momentum = count / (count + 1)  # makes the moving average a plain one
        encoder(tf.cast(batch, tf.float32), training=True)
    for layer, momentum in zip(layers, momentums, strict=True):
        layer.momentum = momentum
