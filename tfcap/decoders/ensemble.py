"""Several decoders that speak as one: the mean of their probabilities."""

import math
from collections.abc import Iterable, Sequence

import tensorflow as tf

from tfcap.decoders.base import Decoder, State


class EnsembleDecoder(Decoder):
    """Decoders of one vocabulary, over the same features.

    State: said and seen are tuples of those of the members. Outputs are logarithms of the mean of
    the members' probabilities already, [..., V], so `logits` has nothing left to do.
    """

    def __init__(self, members: Sequence[Decoder], **arguments):
        """Take decoders that are built; they keep their weights."""
        super().__init__(**arguments)
        self.members = list(members)
        self.built = True

    def start(self, features):
        return _joined(member.start(features) for member in self.members)

    def step(self, words, state):
        own = [State(*parts) for parts in zip(*state, strict=True)]
        steps = [member.step(words, each) for member, each in zip(self.members, own, strict=True)]
        outputs, states = zip(*steps, strict=True)
        return self._mean(outputs), _joined(states)

    def for_search(self):
        return EnsembleDecoder([member.for_search() for member in self.members])

    def call(self, features, words, training=False):
        return self._mean([member(features, words, training=training) for member in self.members])

    def attend(self, features, words):
        weights = [member.attend(features, words) for member in self.members]
        weights = [each for each in weights if each is not None]
        return tf.add_n(weights) / len(weights) if weights else None

    def logits(self, outputs):
        return tf.cast(outputs, tf.float32)

    def _mean(self, outputs):
        log_probs = [
            tf.nn.log_softmax(member.logits(output))
            for member, output in zip(self.members, outputs, strict=True)
        ]
        return tf.reduce_logsumexp(tf.stack(log_probs), axis=0) - math.log(len(log_probs))


def _joined(states: Iterable[State]) -> State:
    said, seen = zip(*states, strict=True)
    return State(said, seen)
