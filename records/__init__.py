"""The on-disk contract: pure functions and frozen dataclasses, no TensorFlow, no Beam."""
