"""Encoders: the networks that turn pixels into a feature map."""

from tfcap.encoders.blocks import blocks_of, tunable_weights
from tfcap.encoders.inference import inference_encoder
from tfcap.encoders.registry import ENCODERS, build_encoder, load_weights, save_weights

__all__ = [
    "ENCODERS",
    "blocks_of",
    "build_encoder",
    "inference_encoder",
    "load_weights",
    "save_weights",
    "tunable_weights",
]
