"""Captions drawn at random."""

import dataclasses

import tensorflow as tf

from records.specs import Spec
from tfcap.decoders.base import Decoder
from tfcap.search.hypotheses import Hypotheses
from tfcap.search.walk import walk


@dataclasses.dataclass(frozen=True)
class SamplingSpec(Spec):
    """How the next word is drawn.

    Attributes:
        temperature: what the logits are divided by; 1 draws from the model's own probabilities.
        top_k: only the so many likeliest words; 0 is all.
        top_p: only the likeliest words that together have so much of the probability (nucleus
            sampling, Holtzman et al. 2020, https://arxiv.org/abs/1904.09751); 1 is all.
        seed: of the draws.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 1

    def __post_init__(self):
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be at least 0, got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], got {self.top_p}")


def sample(
    decoder: Decoder,
    features: tf.Tensor,
    max_words: int,
    spec: SamplingSpec = SamplingSpec(),
    prompts: tf.RaggedTensor | None = None,
    no_repeat: int = 0,
    seed: tf.Tensor | None = None,
) -> Hypotheses:
    """Draw a caption of each picture; other arguments as of `walk`.

    The same seed draws the same captions of the same batch. Log probabilities are of the model,
    whatever the temperature.

    Args:
        seed: int [2], in the place of the spec's.
    """
    seed = tf.constant([spec.seed, 0]) if seed is None else seed

    def draw(logits, position):
        allowed = truncated(logits / spec.temperature, spec.top_k, spec.top_p)
        own = tf.random.experimental.stateless_fold_in(seed, position)
        return tf.random.stateless_categorical(allowed, 1, own, tf.int32)[:, 0]

    return walk(decoder, features, max_words, draw, prompts, no_repeat)


def truncated(logits: tf.Tensor, top_k: int, top_p: float) -> tf.Tensor:
    """Return logits [N, V] with -inf for all but the likeliest words.

    Args:
        logits: float32 [N, V].
        top_k: as of `SamplingSpec`; of equally likely words at the border all stay.
        top_p: likewise; the word that crosses the border stays.
    """
    if 0 < top_k < logits.shape[-1]:
        least = tf.math.top_k(logits, top_k).values[:, -1:]
        logits = tf.where(logits < least, -float("inf"), logits)
    if top_p < 1:
        ordered = tf.sort(tf.nn.softmax(logits), axis=-1, direction="DESCENDING")
        before = tf.cumsum(ordered, axis=-1, exclusive=True)
        least = tf.reduce_min(tf.where(before < top_p, ordered, 1.0), axis=-1, keepdims=True)
        logits = tf.where(tf.nn.softmax(logits) < least, -float("inf"), logits)
    return logits
