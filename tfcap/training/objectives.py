"""What a training makes small: cross-entropy, with references or a teacher, or minus the reward."""

import abc
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import tensorflow as tf

from records.vocabulary import END_ID, PAD_ID, START_ID
from tfcap.captioner import Captioner, force_captions
from tfcap.config import TrainingSpec
from tfcap.decoders.base import Decoder
from tfcap.decoders.cross_entropy import cross_entropy
from tfcap.decoders.packing import filled_up
from tfcap.search.sampling import sample
from tfcap.training.reward import CiderReward

_NEVER = -1e9  # the score of a word that is not said; with infinity, 0 times it is no number


class Loss(NamedTuple):
    """The loss of a batch; each is a sum, float32 [].

    Attributes:
        value: what is made small, over the words of the targets.
        shown: the loss as people know it, over `shown_count`.
        right: words that were the likeliest, over `shown_count`; none where captions are drawn.
        shown_count: words, or captions.
    """

    value: tf.Tensor
    shown: tf.Tensor
    right: tf.Tensor
    shown_count: tf.Tensor


class Objective(abc.ABC):
    """What a training makes small.

    Attributes:
        extra: names and types of what it takes of a batch beside pictures, inputs and targets.
    """

    extra: ClassVar[dict[str, tf.TensorSpec]] = {}

    def prepare(self, batch: dict, number: int) -> dict:
        """Return a batch of `tfcap.data` as `loss` wants it: with `extra`, for one.

        Args:
            batch: of this host.
            number: of the step in the whole training.
        """
        return batch

    @abc.abstractmethod
    def loss(
        self,
        captioner: Captioner,
        features: tf.Tensor,
        inputs: tf.Tensor,
        targets: tf.Tensor,
        *extra: tf.Tensor,
    ) -> Loss:
        """Return the loss in training.

        Args:
            captioner: in training.
            features: float [B, h, w, C].
            inputs: int32 [B, K, T], captions that begin with <start>.
            targets: int32 [B, K, T], the word after each input; <pad> does not count.
            extra: in order.
        """


class CrossEntropy(Objective):
    """Teacher forcing: the cross-entropy of every next word, with smoothed labels."""

    def __init__(self, label_smoothing: float):
        self._label_smoothing = label_smoothing

    def loss(self, captioner, features, inputs, targets):
        arguments = (captioner.decoder, features, inputs, targets, self._label_smoothing)
        value, right, words = force_captions(*arguments, training=True).sums()
        return Loss(value, value, right, words)


class Distillation(Objective):
    """Cross-entropy with what a teacher thinks of each next word, in the place of labels.

    Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", word by word; an ensemble
    for a teacher gives one decoder that knows what all of them do.
    """

    def __init__(self, teacher: Decoder):
        """Take a decoder over the same features and words; it is not trained."""
        self._teacher = teacher

    def loss(self, captioner, features, inputs, targets):
        counts = targets != PAD_ID

        def logits_of(decoder, training):
            outputs = decoder(features, inputs, training=training)
            return decoder.logits(filled_up(tf.boolean_mask(outputs, counts)))

        taught = tf.stop_gradient(tf.nn.softmax(logits_of(self._teacher, training=False)))
        logits = logits_of(captioner.decoder, training=True)
        words = tf.boolean_mask(targets, counts)
        size = tf.size(words)
        losses = tf.nn.softmax_cross_entropy_with_logits(taught, logits)
        value = tf.reduce_sum(losses[:size])
        right = tf.argmax(logits, axis=1, output_type=tf.int32)[:size] == words
        count = tf.cast(tf.size(words), tf.float32)
        return Loss(value, value, tf.reduce_sum(tf.cast(right, tf.float32)), count)


class SelfCritical(Objective):
    """Reinforcement of drawn captions that are better than the others of their picture.

    Rennie et al. 2017, "Self-critical Sequence Training for Image Captioning"; the baseline is the
    mean reward of the picture's other captions (Luo 2020, "A Better Variant of Self-Critical
    Sequence Training"). The loss as people know it is the negative mean reward.
    """

    extra: ClassVar = {"rewards": tf.TensorSpec([None, None], tf.float32)}

    def __init__(
        self,
        captioner: Captioner,
        encode: Callable[[tf.Tensor], tf.Tensor],
        spec: TrainingSpec,
        reward: CiderReward,
    ):
        """Prepare.

        Args:
            captioner: in training.
            encode: pictures as they come in batches to features, float32 [B, h, w, C].
            spec: the recipe.
            reward: of drawn captions.
        """
        self._captioner, self._encode, self._spec = captioner, encode, spec
        self._reward = reward
        self._draw = tf.function(self._drawn, autograph=False, reduce_retracing=True)

    def prepare(self, batch, number):
        name = "image" if "image" in batch else "features"
        words = self._draw(batch[name], tf.constant(number, tf.int64))
        rewards = self._reward(words.numpy(), batch["targets"].numpy())
        inputs = tf.concat([tf.fill([*words.shape[:2], 1], START_ID), words[..., :-1]], axis=2)
        return {
            name: batch[name],
            "inputs": tf.where(words == PAD_ID, PAD_ID, inputs),
            "targets": words,
            "rewards": tf.constant(rewards),
        }

    def loss(self, captioner, features, inputs, targets, rewards):
        counts = targets != PAD_ID
        # As they were drawn, or a loss without bound is made small elsewhere than it should be.
        # Without dropout: a caption that is likely to the whole decoder may be next to impossible
        # to what dropout leaves of it. And without the words that no search says: they would take
        # what is taken from captions that earn little.
        outputs = tf.boolean_mask(captioner.decoder(features, inputs), counts)
        words = tf.boolean_mask(targets, counts)
        logits = captioner.decoder.logits(filled_up(outputs))
        said = tf.range(logits.shape[-1]) >= END_ID
        losses, _ = cross_entropy(tf.where(said, logits, _NEVER), filled_up(words), 0.0)
        losses = losses[: tf.size(words)]
        there = tf.cast(tf.reduce_any(counts, axis=2), tf.float32)
        samples = self._spec.samples
        mean = tf.reduce_mean(rewards, axis=1, keepdims=True)
        # A caption's own reward is a share of the mean: taken out, what is left is of the others.
        advantages = (rewards - mean) * samples / (samples - 1)
        lengths = tf.reduce_sum(tf.cast(counts, tf.int32), axis=2)
        weights = tf.repeat(tf.reshape(advantages, [-1]), tf.reshape(lengths, [-1]))
        return Loss(
            tf.reduce_sum(weights * losses),
            -tf.reduce_sum(rewards * there),
            tf.zeros([]),
            tf.reduce_sum(there),
        )

    def _drawn(self, pictures, number):
        """Return captions drawn from the model, int32 [B, S, T]; those cut short have no <end>."""
        captioner, samples = self._captioner, self._spec.samples
        seed = tf.constant([self._spec.seed, 2], tf.int64)  # 0 is the order's, 1 the dropout's
        seed = tf.random.experimental.stateless_fold_in(seed, number)
        features = tf.repeat(self._encode(pictures), samples, axis=0)
        words = sample(captioner.decoder, features, captioner.max_words, seed=seed).words
        # After so many words the search says <end>: the model did not choose it.
        words = words[:, : captioner.max_words]
        longest = tf.reduce_max(tf.math.count_nonzero(words, axis=1))
        return tf.reshape(words[:, :longest], [-1, samples, longest])
