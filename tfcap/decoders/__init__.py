"""Decoders, by name, behind the one interface of `tfcap.decoders.base`."""

from tfcap.decoders.adaptive import AdaptiveSpec
from tfcap.decoders.bahdanau import BahdanauSpec
from tfcap.decoders.base import Decoder, DecoderSpec
from tfcap.decoders.lstm_attention import LSTMAttentionSpec
from tfcap.decoders.merge import MergeSpec
from tfcap.decoders.registry import DECODERS, build_decoder, decoder_spec_from_dict
from tfcap.decoders.rnn import RNNSpec
from tfcap.decoders.transformer import TransformerSpec

__all__ = [
    "DECODERS",
    "AdaptiveSpec",
    "BahdanauSpec",
    "Decoder",
    "DecoderSpec",
    "LSTMAttentionSpec",
    "MergeSpec",
    "RNNSpec",
    "TransformerSpec",
    "build_decoder",
    "decoder_spec_from_dict",
]
