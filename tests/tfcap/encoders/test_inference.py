import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import SIZE, pictures, randomise

from tfcap.encoders import ENCODERS, inference_encoder

L = keras.layers


def differences(model: keras.Model, encode, pixels: np.ndarray) -> np.ndarray:
    """Differences to the Keras model, in units of the features' standard deviation."""
    expected = model(pixels.astype(np.float32), training=False).numpy()
    found = encode(tf.constant(pixels))
    assert found.dtype == tf.float32 and found.shape == expected.shape
    assert expected.std() > 1e-3
    return abs(found.numpy() - expected) / expected.std()


def difference(model: keras.Model, encode, pixels: np.ndarray) -> float:
    """The largest of the differences."""
    return differences(model, encode, pixels).max()


def network(*layers: keras.Layer) -> keras.Model:
    inputs = keras.Input((SIZE, SIZE, 3))
    outputs = inputs
    for layer in layers:
        outputs = layer(outputs)
    model = keras.Model(inputs, outputs)
    randomise(model, seed=4)
    return model


@pytest.fixture
def tiny() -> keras.Model:
    layers = [L.Rescaling(1 / 127.5, -1.0), L.Conv2D(8, 3, strides=2, padding="same")]
    layers += [L.BatchNormalization(), L.Activation("hard_silu"), L.ZeroPadding2D(((0, 1), (0, 1)))]
    return network(*layers, L.DepthwiseConv2D(3, strides=2), L.BatchNormalization(), L.ReLU())


@pytest.mark.parametrize("name", ENCODERS)
def test_features_equal_the_keras_model(name, encoder):
    model = encoder(name)
    pixels = pictures(3, size=model.input_shape[1])
    found = differences(model, inference_encoder(model), pixels)
    # Many layers of random weights magnify rounding: pixels changed by a millionth change the
    # features of EfficientNetV2 by a thousandth at the worst, and a tenth of that on average.
    assert np.sqrt(np.mean(found**2)) < (2e-4 if "mobilenet" in name else 1e-3)


def test_bytes_and_floats_in_python_a_function_and_a_pipeline_give_the_same(tiny):
    encode = inference_encoder(tiny)
    pixels = tf.constant(pictures(4))
    expected = encode(pixels).numpy()
    assert (encode(tf.cast(pixels, tf.float32)).numpy() == expected).all()
    mapped = tf.data.Dataset.from_tensor_slices(pixels).batch(4).map(encode).get_single_element()
    with tf.device("/CPU:0"):
        inside = tf.function(encode)(pixels)
    for found in (mapped, inside):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_v2_b0"])
def test_the_graph_holds_constants_and_one_convolution_a_layer(name, encoder):
    model = encoder(name)
    graph = tf.function(inference_encoder(model)).get_concrete_function(
        tf.TensorSpec(model.input_shape, tf.uint8)
    )
    assert not graph.captured_inputs
    (function,) = graph.graph.as_graph_def().library.function
    ops = [node.op for node in function.node_def]
    convolutions = sum("Conv2D" in type(layer).__name__ for layer in model.layers)
    contractions = [op for op in ops if op in ("Conv2D", "DepthwiseConv2dNative", "MatMul")]
    assert len(contractions) == ops.count("BiasAdd") == convolutions
    assert not {"Pad", "PadV2", "Rsqrt", "Sub", "ReadVariableOp"} & set(ops)


def test_weights_are_held_as_they_were(tiny):
    encode = inference_encoder(tiny)
    pixels = tf.constant(pictures(2))
    before = encode(pixels).numpy()
    for variable in tiny.variables:
        variable.assign(variable * 0.5)
    assert (encode(pixels).numpy() == before).all()
    assert (inference_encoder(tiny)(pixels).numpy() != before).any()


def test_callers_share_one_trace_and_the_model_may_go():
    model = network(L.Conv2D(4, 3), L.BatchNormalization(), L.MaxPooling2D())
    encode = inference_encoder(model)
    gone = weakref.ref(model)
    del model
    keras.backend.clear_session()
    gc.collect()
    assert gone() is None
    names = set()
    for _ in range(3):
        caller = tf.function(lambda pixels: encode(pixels) + 1).get_concrete_function(
            tf.TensorSpec([None, SIZE, SIZE, 3], tf.uint8)
        )
        names |= {
            function.signature.name for function in caller.graph.as_graph_def().library.function
        }
    assert len(names) == 1


@pytest.mark.parametrize(
    "layers",
    {
        "norm before any convolution": lambda: [L.BatchNormalization(), L.Conv2D(4, 3)],
        "norm after an activation": lambda: [L.Conv2D(4, 3), L.ReLU(), L.BatchNormalization()],
        "biases": lambda: [L.Conv2D(4, 3), L.BatchNormalization(), L.DepthwiseConv2D(3)],
        "norm without scale": lambda: [L.Conv2D(4, 3), L.BatchNormalization(axis=3)],
        "padding that is not SAME": lambda: [
            L.ZeroPadding2D(((2, 0), (0, 1))),
            L.Conv2D(4, 3, strides=2),
            L.ReLU(6.0),
        ],
        "padding, then SAME": lambda: [L.ZeroPadding2D(1), L.Conv2D(4, 3, padding="same")],
        "padding twice, then a norm": lambda: [
            L.ZeroPadding2D(1),
            L.ZeroPadding2D(2),
            L.BatchNormalization(),
        ],
        "rescaling by channel, then SAME": lambda: [
            L.Rescaling([0.1, 0.2, 0.3], [-1.0, 0.0, 2.0]),
            L.Conv2D(4, 3, padding="same"),
        ],
        "rescaling last": lambda: [L.Conv2D(4, 3), L.Rescaling(0.1, offset=3.0)],
        "normalization of padded pixels": lambda: [
            L.Rescaling(1 / 255),
            L.ZeroPadding2D(1),
            L.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.1, 0.2, 0.3]),
            L.Conv2D(4, 3),
        ],
        "activations inside of convolutions, then a norm": lambda: [
            L.Conv2D(4, 3, activation="silu"),
            L.BatchNormalization(),
            L.DepthwiseConv2D(3, activation="relu"),
            L.BatchNormalization(),
        ],
        "dropout between a convolution and its norm": lambda: [
            L.Conv2D(4, 3),
            L.Dropout(0.5),
            L.BatchNormalization(),
        ],
        "a factor, then another shape": lambda: [
            L.GlobalAveragePooling2D(),
            L.Rescaling(0.01),
            L.Reshape((1, 1, 3)),
            L.Conv2D(4, 1),
        ],
        "layers as they are": lambda: [
            L.Rescaling(0.01),
            L.ZeroPadding2D(1),
            L.AveragePooling2D(3, padding="same"),
            L.ReLU(1.3),
            L.Activation("tanh"),
            L.MaxPooling2D(3, strides=2),
        ],
    }.items(),
    ids=lambda case: case[0],
)
def test_other_orders_of_layers(layers):
    model = network(*layers[1]())
    assert difference(model, inference_encoder(model), pictures(2)) < 2e-4


def test_a_layer_used_twice_over_is_not_folded_away():
    inputs = keras.Input((SIZE, SIZE, 3))
    branch = L.Conv2D(4, 3)(inputs)
    outputs = L.Add()([branch, L.BatchNormalization()(branch)])
    model = keras.Model(inputs, L.Multiply()([outputs, branch * 0.5]))
    randomise(model, seed=5)
    assert difference(model, inference_encoder(model), pictures(2)) < 2e-4


def test_branches_with_factors_and_shifts_of_their_own_are_joined():
    inputs = keras.Input((SIZE, SIZE, 3))
    branches = [L.Conv2D(2, 3, padding="same")(inputs), L.Rescaling(0.1, 2.0)(inputs)]
    outputs = L.Concatenate()([*branches, L.ZeroPadding2D(1)(L.Conv2D(4, 3)(inputs))])
    model = keras.Model(inputs, outputs)
    randomise(model, seed=6)
    assert difference(model, inference_encoder(model), pictures(2)) < 2e-4


def test_a_layer_of_two_inputs_without_a_rule_is_refused_by_name():
    inputs = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(inputs, L.Maximum(name="odd")([inputs, L.ReLU()(inputs)]))
    with pytest.raises(ValueError, match="'odd', a Maximum"):
        inference_encoder(model)


@pytest.mark.parametrize(
    ("layer", "what"),
    [
        (L.LayerNormalization(name="odd"), "'odd', a LayerNormalization"),
        (L.GaussianNoise(0.1, name="odd"), "'odd', a GaussianNoise"),
        (L.Conv2D(4, 3, dilation_rate=2, name="odd"), r"'odd' with dilation_rate=\(2, 2\)"),
        (L.Normalization(mean=0.1, variance=1.0, axis=None, name="odd"), "'odd'"),
    ],
)
def test_a_layer_without_a_rule_is_refused_by_name(layer, what):
    with pytest.raises(ValueError, match=what):
        inference_encoder(network(layer))
