"""Decoders, by name, behind the one interface of `tfcap.decoders.base`."""

from tfcap.decoders.base import Decoder, DecoderSpec
from tfcap.decoders.lstm_attention import LSTMAttentionSpec
from tfcap.decoders.merge import MergeSpec
from tfcap.decoders.registry import DECODERS, build_decoder, decoder_spec_from_dict
from tfcap.decoders.transformer import TransformerSpec

__all__ = [
    "DECODERS",
    "Decoder",
    "DecoderSpec",
    "LSTMAttentionSpec",
    "MergeSpec",
    "TransformerSpec",
    "build_decoder",
    "decoder_spec_from_dict",
]
