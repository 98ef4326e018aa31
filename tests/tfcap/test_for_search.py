"""Decoders made for captions word by word: they say the same, and read their weights once."""

import numpy as np
import pytest
import tensorflow as tf
from small_decoders import MAX_WORDS, SIZE, SPECS, make_decoder

from tfcap import search
from tfcap.decoders.ensemble import EnsembleDecoder

FEATURES = tf.random.stateless_normal([3, 2, 3, 12], [1, 2])
WORDS = tf.constant(np.random.default_rng(0).integers(3, SIZE, (3, 2, 5)), tf.int32)
KINDS = [*SPECS, "ensemble"]


def make(kind):
    shape = FEATURES.shape[1:]
    if kind != "ensemble":
        return make_decoder(kind, shape, SIZE, scale=0.35)
    members = ("lstm_attention", "lstm_attention-ungated")
    return EnsembleDecoder([make_decoder(name, shape, SIZE, scale=0.35) for name in members])


@pytest.fixture(scope="module", params=KINDS)
def pair(request):
    """A decoder, and what it makes of itself for search."""
    decoder = make(request.param)
    return decoder, decoder.for_search()


def close(found, expected):
    tf.nest.map_structure(
        lambda *both: np.testing.assert_allclose(*both, rtol=1e-4, atol=1e-5), found, expected
    )


def test_words_and_whole_captions_are_those_of_the_decoder(pair):
    decoder, other = pair
    state, own = decoder.start(FEATURES), other.start(FEATURES)
    for position in range(5):
        outputs, state = decoder.step(WORDS[:, 0, position], state)
        found, own = other.step(WORDS[:, 0, position], own)
        close(own, state)
        close(other.logits(found), decoder.logits(outputs))
    close(
        other.logits(other(FEATURES, WORDS)),
        decoder.logits(decoder(FEATURES, WORDS)),
    )
    looks = decoder.attend(FEATURES, WORDS)
    assert (looks is None) == (other.attend(FEATURES, WORDS) is None)
    if looks is not None:
        close(other.attend(FEATURES, WORDS), looks)


def test_its_variables_are_all_that_it_reads(pair):
    """What an export stores: nothing less, or it fails, and nothing that no signature needs."""
    _, other = pair
    rows = tf.TensorSpec([None, *FEATURES.shape[1:]])
    captions = tf.TensorSpec([None, None, None], tf.int32)

    def everything(features, words):
        found = search.greedy(other, features, MAX_WORDS)
        return found.words, other.logits(other(features, words)), other.attend(features, words)

    function = tf.function(everything, autograph=False).get_concrete_function(rows, captions)
    read = {id(handle) for handle in function.captured_inputs if handle.dtype == tf.resource}
    assert read == {id(variable.value.handle) for variable in other.variables}


@pytest.mark.parametrize("name", ["greedy", "beam"])
def test_a_search_reads_the_weights_before_its_loop(pair, name):
    _, other = pair
    searches = {
        "greedy": lambda: search.greedy(other, FEATURES, MAX_WORDS),
        "beam": lambda: search.beam(other, FEATURES, MAX_WORDS, 2),
    }
    graph = tf.function(searches[name], autograph=False).get_concrete_function().graph
    reads = {
        function.signature.name: sum(node.op == "ReadVariableOp" for node in function.node_def)
        for function in graph.as_graph_def().library.function
    }
    assert any("while_body" in function for function in reads)
    assert not any(reads.values())
