"""Decoders, by name, behind the one interface of `tfcap.decoders.base`."""
