import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_decoders import SPECS, make_decoder

from records.vocabulary import PAD_ID
from tfcap.captioner import force_captions
from tfcap.decoders import DECODERS, decoder_spec_from_dict, packing
from tfcap.decoders.cross_entropy import cross_entropy
from tfcap.decoders.packing import Packing
from tfcap.decoders.recurrence import packed_lstm, padded_lstm

SIZE = 16  # words of the vocabulary
BLIND = ("merge", "rnn")  # kinds without attention
FEATURES = tf.random.stateless_normal([3, 2, 3, 12], [1, 2])
WORDS = tf.constant(np.random.default_rng(0).integers(3, SIZE, (3, 2, 5)), tf.int32)


def test_every_decoder_is_tested():
    assert {spec.kind for spec in SPECS.values()} == set(DECODERS)


@pytest.fixture(autouse=True)
def little_padding(monkeypatch):
    """So few captions would keep all of it."""
    monkeypatch.setattr(packing, "ROUND", 4)


def make(name):
    return make_decoder(name, FEATURES.shape[1:], SIZE, scale=0.35)


@pytest.fixture(scope="module", params=SPECS)
def decoder(request):
    return make(request.param)


@pytest.fixture(
    scope="module", params=[name for name, spec in SPECS.items() if spec.kind not in BLIND]
)
def attentive(request):
    """A decoder with attention."""
    return make(request.param)


def with_padding(words):
    """The same captions, of several lengths, one of them empty."""
    lengths = np.array([[5, 2], [0, 4], [1, 2]])
    return tf.where(np.arange(5) < lengths[..., None], words, PAD_ID)


def test_steps_equal_the_whole_sequence(decoder):
    words = with_padding(WORDS).numpy()
    whole = decoder(FEATURES, tf.constant(words))
    for caption in range(2):
        state = decoder.start(FEATURES)
        for position in range(5):
            outputs, state = decoder.step(WORDS[:, caption, position], state)
            there = words[:, caption, position] != PAD_ID
            expected = whole[:, caption, position]
            np.testing.assert_allclose(outputs[there], expected[there], atol=1e-5)


def test_rows_of_a_state_can_be_reordered_and_repeated(decoder):
    rows = tf.constant([2, 0, 0])
    state = decoder.start(FEATURES)
    for position in range(4):
        _, state = decoder.step(WORDS[:, 0, position], state)
        if position == 1:
            state = tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), state)
    outputs, _ = decoder.step(WORDS[:, 0, 4], state)
    captions = np.concatenate([tf.gather(WORDS, rows)[:, :1, :2], WORDS[:, :1, 2:]], axis=2)
    whole = decoder(tf.gather(FEATURES, rows), tf.constant(captions))
    np.testing.assert_allclose(outputs, whole[:, 0, 4], atol=1e-5)


def test_the_shapes_of_a_state_last_through_a_step(decoder):
    """A loop in a graph demands it."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 3, 12])])
    def walk(features):
        start = decoder.start(features)
        _, end = decoder.step(tf.fill([tf.shape(features)[0]], 5), start)
        for before, after in zip(tf.nest.flatten(start), tf.nest.flatten(end), strict=True):
            assert before.shape.as_list() == after.shape.as_list() and before.dtype == after.dtype
            assert None not in before.shape.as_list()[1:]
        return end

    walk.get_concrete_function()


def test_a_word_depends_on_no_later_word_and_no_other_caption(decoder):
    changed = WORDS.numpy()
    changed[:, 0, 3] = 4
    changed[:, 1] = 5
    changed[0, 1, 1:] = PAD_ID
    before = decoder(FEATURES, WORDS).numpy()
    after = decoder(FEATURES, tf.constant(changed)).numpy()
    np.testing.assert_allclose(after[:, 0, :3], before[:, 0, :3], atol=1e-5)
    assert np.abs(after[:, 0, 3:] - before[:, 0, 3:]).max() > 1e-3


def test_every_place_of_the_map_matters(decoder):
    before = decoder(FEATURES, WORDS).numpy()
    for row, column in np.ndindex(2, 3):
        changed = FEATURES.numpy()
        changed[:, row, column] = changed[:, row, column, ::-1]
        assert np.abs(decoder(tf.constant(changed), WORDS) - before).max() > 1e-3


def test_dropout_is_on_in_training_only(decoder):
    still = [decoder(FEATURES, WORDS).numpy() for _ in range(2)]
    moved = [decoder(FEATURES, WORDS, training=True).numpy() for _ in range(2)]
    assert (still[0] == still[1]).all()
    assert (moved[0] != moved[1]).any()


def test_attention_is_a_distribution_over_the_map_for_each_word(attentive):
    words = with_padding(WORDS)
    weights = attentive.attend(FEATURES, words).numpy()
    assert weights.shape == (3, 2, 5, 2, 3) and weights.dtype == np.float32
    there = weights[words.numpy() != PAD_ID]
    assert there.min() >= 0 and there.std() > 0
    np.testing.assert_allclose(there.sum(axis=(1, 2)), 1, rtol=1e-5)


def test_a_decoder_without_attention_says_so(decoder):
    blind = decoder.spec.kind in BLIND
    assert (decoder.attend(FEATURES, WORDS) is None) == blind


def test_a_batch_may_hold_nothing(decoder):
    width = decoder(FEATURES, WORDS).shape[-1]
    assert decoder(FEATURES[:0], WORDS[:0]).shape == (0, 2, 5, width)
    outputs = decoder(FEATURES, tf.fill(WORDS.shape, PAD_ID))
    assert outputs.shape == (3, 2, 5, width) and np.isfinite(outputs).all()
    weights = decoder.attend(FEATURES[:0], WORDS[:0])
    assert weights is None or weights.shape == (0, 2, 5, 2, 3)


@pytest.mark.parametrize("place", np.ndindex(2, 3), ids=str)
def test_attention_shows_the_one_cell_that_is_not_like_the_others(attentive, place):
    features = np.ones((1, 2, 3, 12), np.float32) * np.linspace(-1, 1, 12, dtype=np.float32)
    features[:, place[0], place[1]] = FEATURES[0, 0, 0]
    weights = attentive.attend(tf.constant(features), WORDS[:1]).numpy()
    others = weights[..., ~_one(place)]
    np.testing.assert_allclose(others, others[..., :1].repeat(5, -1), rtol=1e-4)
    assert (np.abs(weights[..., place[0], place[1]] / others[..., 0] - 1) > 0.01).all()


def _one(place):
    mask = np.zeros((2, 3), bool)
    mask[place] = True
    return mask


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_the_cross_entropy_of_the_words_that_count(decoder, smoothing):
    targets = np.roll(WORDS.numpy(), -1, axis=2)
    targets[0, 0, 2:] = PAD_ID
    targets[2, 1, :] = PAD_ID
    total, _, words = force_captions(
        decoder, FEATURES, WORDS, tf.constant(targets), smoothing
    ).sums()
    logits = decoder.logits(decoder(FEATURES, WORDS)).numpy()
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected, counted = 0.0, 0
    for place in np.ndindex(targets.shape):
        if targets[place] != PAD_ID:
            wanted = np.full(SIZE, smoothing / SIZE)
            wanted[targets[place]] += 1 - smoothing
            expected -= (wanted * log_probs[place]).sum()
            counted += 1
    assert words == counted
    np.testing.assert_allclose(total, expected, rtol=1e-4)


def gradients(decoder, words=WORDS):
    with tf.GradientTape() as tape:
        total, *_ = force_captions(decoder, FEATURES, words, tf.roll(words, -1, axis=2)).sums()
    found = tape.gradient(total, decoder.trainable_variables)
    return total.numpy(), [tf.convert_to_tensor(gradient).numpy() for gradient in found]


def test_padding_changes_no_gradient(decoder):
    words = WORDS[:, :, :2]
    padded = tf.pad(words, [[0, 0], [0, 0], [0, 3]])

    def of(inputs):
        targets = tf.pad(words, [[0, 0], [0, 0], [0, inputs.shape[2] - 2]])
        with tf.GradientTape() as tape:
            total, *_ = force_captions(decoder, FEATURES, inputs, targets).sums()
        return tape.gradient(total, decoder.trainable_variables)

    for bare, filled in zip(of(words), of(padded), strict=True):
        bare, filled = tf.convert_to_tensor(bare), tf.convert_to_tensor(filled)
        np.testing.assert_allclose(bare, filled, atol=1e-4)


def test_the_merge_decoder_has_the_loss_of_its_textbook_form():
    """There it is trained on a sample for each prefix, padded in front, of each caption."""
    decoder, layers = make("merge"), keras.layers
    spec, words = decoder.spec, with_padding(WORDS).numpy()
    picture, text = keras.Input([FEATURES.shape[-1]]), keras.Input([5])
    seen = layers.Dense(spec.units, activation="relu")
    embedding = layers.Embedding(SIZE, spec.embedding, mask_zero=True)
    recurrence = layers.LSTM(spec.units)
    merged = layers.Dense(spec.units, activation="relu")
    scores = layers.Dense(SIZE, activation="softmax")
    both = layers.add([seen(picture), recurrence(embedding(text))])
    textbook = keras.Model([picture, text], scores(merged(both)))
    of_ours = (decoder.picture, decoder.embedding, decoder.lstm, decoder.merged)
    both = (seen, embedding, recurrence, merged), of_ours
    for theirs, ours in zip(*both, strict=True):
        theirs.set_weights(ours.get_weights())
    scores.set_weights(decoder.output_layer.get_weights())
    pooled = FEATURES.numpy().mean(axis=(1, 2))
    pictures, prefixes, nexts = [], [], []
    for row, caption in np.ndindex(words.shape[:2]):
        spoken = words[row, caption][words[row, caption] != PAD_ID]
        for end in range(1, len(spoken)):
            pictures.append(pooled[row])
            prefixes.append(spoken[:end])
            nexts.append(spoken[end])
    prefixes = keras.utils.pad_sequences(prefixes, maxlen=5)
    expected = keras.losses.sparse_categorical_crossentropy(
        np.array(nexts), textbook([np.array(pictures), prefixes])
    )
    targets = np.pad(words, [(0, 0), (0, 0), (0, 1)])[:, :, 1:]
    loss, _, counted = force_captions(
        decoder, FEATURES, tf.constant(words), tf.constant(targets)
    ).sums()
    assert counted == len(nexts)
    np.testing.assert_allclose(loss, np.sum(expected), rtol=1e-5)


@pytest.mark.parametrize("name", SPECS)
def test_mixed_precision_is_close_to_float32(name):
    exact_loss, exact = gradients(make(name))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        decoder = make(name)
        loss, mixed = gradients(decoder)
        outputs, _ = decoder.step(WORDS[:, 0, 0], decoder.start(FEATURES))
    finally:
        keras.config.set_dtype_policy("float32")
    assert outputs.dtype == tf.bfloat16
    assert decoder.logits(outputs).dtype == tf.float32
    weights = decoder.attend(FEATURES, WORDS)
    assert weights is None or weights.dtype == tf.float32
    np.testing.assert_allclose(loss, exact_loss, rtol=0.02)
    norm = np.sqrt(sum(np.square(gradient).sum() for gradient in exact))
    error = sum(np.square(a - b).sum() for a, b in zip(mixed, exact, strict=True))
    assert all(gradient.dtype == np.float32 for gradient in mixed)
    assert np.sqrt(error) < 0.1 * norm


@pytest.mark.parametrize("multiple", [1, 4, 64])
def test_packing_rounds_up_by_padding(monkeypatch, multiple):
    monkeypatch.setattr(packing, "ROUND", multiple)
    words = tf.reshape(with_padding(WORDS), [6, 5])
    packed = Packing.of(words)
    real = int(tf.math.count_nonzero(words))
    assert len(packed.places) == min(30, -(-real // multiple) * multiple)
    assert len(set(packed.places.numpy())) == len(packed.places) == sum(packed.counts.numpy())
    assert list(packed.counts) == sorted(packed.counts, reverse=True)
    numbers = tf.reshape(tf.range(1.0, 31.0), [30, 1])
    back = tf.reshape(packed.unpack(packed.pack(numbers)), [6, 5])
    here = words != 0
    np.testing.assert_array_equal(back[here], tf.reshape(numbers, [6, 5])[here])


def test_the_packed_recurrence_is_that_of_keras():
    layer = keras.layers.LSTM(6, return_sequences=True)
    layer.build((None, None, 4))
    layer.cell.bias.assign(np.linspace(-1, 1, 24))
    words = with_padding(WORDS)
    packed = Packing.of(tf.reshape(words, [6, 5]))
    normal = tf.random.stateless_normal
    vectors = normal([len(packed.places), 4], [3, 4])
    h, c = normal([6, 6], [5, 6]), normal([6, 6], [7, 8])
    results = []
    for run in (packed_lstm, padded_lstm):
        with tf.GradientTape() as tape:
            tape.watch([vectors, h, c])
            hidden = tf.function(run)(layer, vectors, packed, h, c)
            total = tf.reduce_sum(hidden * normal([len(packed.places), 6], [9, 9]))
        weights = [weights.value for weights in layer.trainable_variables]
        results.append([hidden, *tape.gradient(total, [vectors, h, c, *weights])])
    for found, expected in zip(*results, strict=True):
        found, expected = tf.convert_to_tensor(found), tf.convert_to_tensor(expected)
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_spec_comes_back_from_its_fields(spec):
    assert decoder_spec_from_dict(dataclasses.asdict(spec)) == spec


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="'gru' is not one of lstm_attention, merge, rnn, "):
        decoder_spec_from_dict({"kind": "gru"})


@pytest.mark.parametrize(
    "kind, fields",
    [
        ("lstm_attention", {"units": 10, "heads": 4}),
        ("lstm_attention", {"heads": 0}),
        ("lstm_attention", {"dropout": 1.0}),
        ("lstm_attention", {"embedding": -1}),
        ("merge", {"units": 0}),
        ("merge", {"embedding_dropout": 1.5}),
        ("rnn", {"cell": "peephole"}),
        ("rnn", {"units": 0}),
        ("rnn", {"dropout": 1.0}),
        ("bahdanau", {"cell": "simple"}),
        ("bahdanau", {"attention": 0}),
        ("adaptive", {"cell": "gru"}),
        ("adaptive", {"embedding": -1}),
        ("transformer", {"layers": 0}),
        ("transformer", {"max_length": 0}),
        ("transformer", {"dropout": -0.1}),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(kind, fields):
    with pytest.raises(ValueError, match=str(next(iter(fields.values())))):
        DECODERS[kind][0](**fields)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_and_its_gradient_are_those_of_the_textbook(smoothing):
    logits = tf.random.stateless_normal([6, SIZE], [1, 2]) * tf.constant(
        [[1.0], [1], [1], [9], [300], [1]]
    )
    logits = logits - tf.one_hot([0] * 6, SIZE) * 1e4  # a word of no probability at all
    words = tf.constant([0, 3, 3, 5, 15, 9])
    labels = tf.one_hot(words, SIZE) * (1 - smoothing) + smoothing / SIZE
    weights = tf.linspace(-1.0, 2.0, 6)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        expected = -tf.reduce_sum(labels * tf.nn.log_softmax(logits), axis=1)
        found, right = cross_entropy(logits, words, smoothing)
        totals = [tf.reduce_sum(weights * losses) for losses in (found, expected)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    gradients = [tape.gradient(total, logits) for total in totals]
    np.testing.assert_allclose(*gradients, atol=1e-6)
    np.testing.assert_array_equal(right, tf.argmax(logits, axis=1, output_type=tf.int32) == words)
