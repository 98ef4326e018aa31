"""Benchmarks: the rate of every stage from records to captions. Light: no TensorFlow in here."""
