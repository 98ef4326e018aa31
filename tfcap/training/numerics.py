"""What a step computes in, and what it draws, both without leaving a trace in the model."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf


@contextlib.contextmanager
def computing_in(precision: str, *models: keras.Model) -> Iterator[None]:
    """Trace layers in a lower precision; weights stay float32, and so do all other traces.

    Args:
        precision: "float32" changes nothing; "bfloat16" or "float16".
        models: whose layers it concerns.
    """
    layers = [layer for model in models for layer in model._flatten_layers()]
    policies = [layer.dtype_policy for layer in layers]
    try:
        if precision != "float32":
            for layer in layers:
                layer.dtype_policy = f"mixed_{precision}"
        yield
    finally:
        for layer, policy in zip(layers, policies, strict=True):
            layer.dtype_policy = policy


def drawing_from(model: keras.Model, seed: tf.Tensor) -> keras.StatelessScope:
    """Return a scope in which a model's dropout is a pure function of a seed.

    The states of the layers' own generators, which no checkpoint of TensorFlow holds, stay unread.

    Args:
        model: any; its generators are told apart by their order.
        seed: int64 [2].
    """
    states = [
        variable for variable in model.variables if variable.path.endswith("seed_generator_state")
    ]
    drawn = [
        (state, tf.cast(tf.random.experimental.stateless_fold_in(seed, number), state.dtype))
        for number, state in enumerate(states)
    ]
    return keras.StatelessScope(drawn, initialize_variables=False)
