"""Blocks: where a network can be cut, and which weights lie behind the cut."""

import keras
import pytest

from records.errors import UserError
from tfcap.encoders import ENCODERS, blocks_of, tunable_weights

COUNTS = {
    "mobilenet_v3_small": 11,
    "mobilenet_v3_small_stride16": 9,
    "mobilenet_v3_large": 15,
    "mobilenet_v3_large_minimalistic": 15,
    "efficientnet_v2_b0": 21,
    "inception_v3": 11,
    "resnet50": 16,
    "vgg16": 5,
}


def names(blocks):
    return [layer.name for block in blocks for layer in block]


@pytest.mark.parametrize("name", ENCODERS)
def test_each_block_sees_the_ones_before_it_through_its_input_alone(name, encoder):
    model = encoder(name)
    blocks = blocks_of(model)
    assert len(blocks) == COUNTS[name]
    assert names(blocks) == [layer.name for layer in model.layers]
    for count in {1, len(blocks) // 2, len(blocks) - 1}:
        before = keras.Model(model.input, blocks[count - 1][-1].output)
        # All that it takes to compute a block's last output, and nothing that it does not take.
        assert [layer.name for layer in before.layers] == names(blocks[:count])


def test_the_last_block_of_inception_has_no_name_but_its_end(encoder):
    *_, before, last = blocks_of(encoder("inception_v3"))
    assert (before[-1].name, last[-1].name) == ("mixed9", "mixed10")
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in last) == 9


def test_the_weights_of_the_last_blocks_are_those_of_their_convolutions(encoder):
    model = encoder("resnet50")
    whole, last = tunable_weights(model), tunable_weights(model, 2)
    assert [weight.path for weight in last] == [weight.path for weight in whole[-len(last) :]]
    # Both have three convolutions, with biases.
    assert {weight.path.split("/")[0] for weight in last} == {
        f"conv5_block{block}_{number}_conv" for block in (2, 3) for number in (1, 2, 3)
    }
    assert len(last) == 12 and len(whole) == 2 * 53
    everything = tunable_weights(model, 16)
    assert [weight.path for weight in everything] == [weight.path for weight in whole]


def test_more_blocks_than_there_are_are_refused(encoder):
    with pytest.raises(UserError, match="--fine-tune-blocks 6: vgg16 has 5 blocks"):
        tunable_weights(encoder("vgg16"), 6)


def test_a_network_of_other_names_is_one_block():
    pixels = keras.Input((8, 8, 3))
    model = keras.Model(pixels, keras.layers.Conv2D(2, 3, name="odd")(pixels))
    assert names(blocks_of(model)) == [layer.name for layer in model.layers]
    assert len(blocks_of(model)) == 1 and len(tunable_weights(model, 1)) == 2
