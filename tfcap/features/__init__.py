"""Features: where the encoder runs, and the cache of what it gave."""

from tfcap.features.cache import FeatureCache, cached_features, find_features
from tfcap.features.placement import PLACEMENTS, CacheCost, Placement, choose_placement
from tfcap.features.spec import EncoderIdentity, FeatureSpec, bytes_needed, identify_encoder
from tfcap.features.writer import free_bytes

__all__ = [
    "PLACEMENTS",
    "CacheCost",
    "EncoderIdentity",
    "FeatureCache",
    "FeatureSpec",
    "Placement",
    "bytes_needed",
    "cached_features",
    "choose_placement",
    "find_features",
    "free_bytes",
    "identify_encoder",
]
