"""Decoders small enough for a test, with weights that are no zeros."""

import keras
import numpy as np
import tensorflow as tf

from records.captions import CaptionSpec
from records.pictures import PictureSpec
from records.vocabulary import END_ID, SPECIALS, Vocabulary
from tfcap.captioner import Captioner
from tfcap.decoders import (
    AdaptiveSpec,
    BahdanauSpec,
    Decoder,
    LSTMAttentionSpec,
    MergeSpec,
    RNNSpec,
    TransformerSpec,
    build_decoder,
)
from tfcap.text import CaptionIds

WORDS = ["a", "dog", "cat", "runs", "sits", "on", "the", "grass", "red", "ball", "in", "sun", "hat"]
VOCABULARY = Vocabulary((*SPECIALS, *WORDS))
SIZE = len(VOCABULARY)  # no layer is as wide
MAX_WORDS = 6  # that the Transformer has room for
SIZES = {"units": 16, "embedding": 8}
# Every kind under its own name, and variants of some.
SPECS = {
    "lstm_attention": LSTMAttentionSpec(**SIZES, heads=2),
    "lstm_attention-ungated": LSTMAttentionSpec(**SIZES, heads=2, gate=False),
    "merge": MergeSpec(**SIZES),
    "rnn": RNNSpec("simple", **SIZES),
    "rnn-lstm": RNNSpec("lstm", **SIZES),
    "rnn-gru": RNNSpec("gru", **SIZES),
    "bahdanau": BahdanauSpec("lstm", **SIZES, attention=10),
    "bahdanau-gru": BahdanauSpec("gru", **SIZES, attention=10),
    "adaptive": AdaptiveSpec(**SIZES, attention=10),
    "transformer": TransformerSpec(units=8, max_length=MAX_WORDS + 1),
}


def make_decoder(
    name: str, map_shape: tuple[int, int, int], vocabulary_size: int, scale: float, seed: int = 5
) -> Decoder:
    """Build a decoder of `SPECS` with weights drawn at random.

    Args:
        name: a key of `SPECS`.
        map_shape: h, w, C of the features.
        vocabulary_size: V.
        scale: standard deviation of all weights.
        seed: of the weights.
    """
    keras.utils.set_random_seed(seed)
    decoder = build_decoder(SPECS[name], vocabulary_size)
    decoder.build((None, *map_shape))
    generator = np.random.default_rng(seed)
    for variable in decoder.trainable_variables:
        variable.assign(generator.normal(scale=scale, size=variable.shape))
    return decoder


def output_bias(decoder: Decoder, vocabulary_size: int) -> keras.Variable:
    """Return the bias of the words' scores; no layer may be as wide as the vocabulary."""
    shape = (vocabulary_size,)
    (bias,) = (variable for variable in decoder.trainable_variables if variable.shape == shape)
    return bias


def favour_end(decoder: Decoder, vocabulary_size: int, by: float) -> None:
    """Make captions end, which of weights drawn at random hardly ever do."""
    end = tf.one_hot(END_ID, vocabulary_size, on_value=by)
    output_bias(decoder, vocabulary_size).assign_add(end)


def captioner_of(decoder: Decoder, encoder: keras.Model) -> Captioner:
    """Return a captioner of 64x64 pictures that speaks `VOCABULARY`."""
    return Captioner(
        encoder=encoder,
        decoder=decoder,
        vocabulary=VOCABULARY,
        ids=CaptionIds(VOCABULARY),
        picture=PictureSpec(size=64),
        caption=CaptionSpec(),
        max_words=MAX_WORDS,
    )
