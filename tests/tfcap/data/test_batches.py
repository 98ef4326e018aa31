"""Batches of pictures and captions against a plain loop over the records."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from records.example import PictureRecord, encode_example
from records.pictures import PictureSpec
from records.vocabulary import END_ID, PAD_ID, START_ID, UNK_ID, build_vocabulary
from tfcap.augment import AugmentSpec, augment
from tfcap.data import Corrupt, Order, Passes, batches, caption_batches, encoded
from tfcap.pictures import decode_picture
from tfcap.text import CaptionIds

PICTURE = PictureSpec(size=32)
VOCABULARY = build_vocabulary({"a": 9, "dog": 9, "runs": 9, "left": 9}, 1)
IDS = CaptionIds(VOCABULARY)
MAX_WORDS = 4
VARIED = AugmentSpec(flip=True, crop=0.3, colour=0.3)
# From no caption and an empty one to longer ones than are taken; unknown words too.
TEXTS = [
    ("a dog runs", "a dog"),
    (),
    ("a dog runs left a dog runs",),
    ("",),
    ("a cat runs", "a", "dog"),
]
captions = st.lists(st.sampled_from(["a", "dog", "cat"]), max_size=MAX_WORDS + 2).map(" ".join)
several_captions = st.lists(captions, max_size=3)


@pytest.fixture(scope="module")
def pictures(jpeg):
    """Records of pictures of several sizes, their captions from none to three."""
    sizes = [(32, 32), (40, 32), (32, 60)]
    return [
        PictureRecord(jpeg(i, sizes[i % 3]), 0, 0, f"{i}.jpg", "", "", texts, texts)
        for i, texts in enumerate(TEXTS * 5)
    ]


@pytest.fixture
def shards(tmp_path, pictures, write_shards):
    payloads = [encode_example(picture) for picture in pictures]
    return write_shards(tmp_path, [payloads[:11], payloads[11:]])


def expected_captions(all_texts):
    """Return inputs and targets, made of Python lists; all_texts holds the captions of each."""
    ids = {word: number for number, word in enumerate(VOCABULARY.words)}
    framed = [
        [[ids.get(word, UNK_ID) for word in text.split()] for text in texts] for texts in all_texts
    ]
    most = max(map(len, framed))
    # As many columns as the longest caption has words and an end, of those that are taken.
    length = min(1 + max((len(i) for texts in framed for i in texts), default=0), 1 + MAX_WORDS)
    inputs, targets = np.full((2, len(framed), most, length), PAD_ID, np.int32)
    for row, texts in enumerate(framed):
        for column, words in enumerate(texts):
            cut = len(words) + 1 if len(words) < length else length
            inputs[row, column, :cut] = [START_ID, *words][:cut]
            targets[row, column, :cut] = [*words, END_ID][:cut]
    return inputs, targets


def expected_batches(pictures, batch_size, order=None, augmentation=None):
    """Yield the batches of an epoch, record by record."""
    numbers = order.permutation([len(pictures)]) if order else range(len(pictures))
    for start in range(order.skip if order else 0, len(pictures), batch_size):
        positions = range(start, min(start + batch_size, len(pictures)))
        chosen = [pictures[numbers[position]] for position in positions]
        images = [decode_picture(tf.constant(picture.encoded), PICTURE) for picture in chosen]
        if augmentation:
            images = [
                augment(image, tf.constant(picture.captions, tf.string), seed, augmentation)
                for image, picture, seed in zip(
                    images, chosen, [(order.epoch_seed(), at) for at in positions], strict=True
                )
            ]
        inputs, targets = expected_captions([picture.captions for picture in chosen])
        keys = np.array([picture.filename.encode() for picture in chosen], object)
        yield {"image": np.stack(images), "key": keys, "inputs": inputs, "targets": targets}


def assert_equal_batches(found, expected):
    found, expected = list(found), list(expected)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name, values in one.items():
            assert values.dtype == other[name].dtype or values.dtype == tf.string
            np.testing.assert_array_equal(values, other[name], err_msg=name)


def make(shards, *args, **kwargs):
    return caption_batches(shards, PICTURE, IDS, MAX_WORDS, *args, **kwargs)


@pytest.mark.parametrize("in_graph", [False, True], ids=["python", "graph"])
@pytest.mark.parametrize(
    ("order", "augmentation"),
    [
        (None, None),
        (Order(1, 2), None),
        (Order(1, 2), VARIED),
        (Order(1, 2, skip=8), VARIED),
        (Order(1, 3), AugmentSpec(flip=True)),
        (Order(1, 2, skip=25), None),
    ],
)
def test_batches_are_those_of_a_plain_loop(shards, pictures, order, augmentation, in_graph):
    expected = expected_batches(pictures, 4, order, augmentation)
    assert_equal_batches(make(shards, 4, order, augmentation, in_graph=in_graph), expected)


def test_every_epoch_varies_its_pictures_anew(shards):
    seen = {
        batch["image"][list(batch["key"].numpy()).index(b"0.jpg")].numpy().tobytes()
        for epoch in range(3)
        for batch in make(shards, 25, Order(1, epoch), VARIED)
    }
    assert len(seen) == 3


def test_one_dataset_varies_its_pictures_in_every_pass(shards, pictures):
    passes = Passes(Order(1, 0))
    batches = make(shards, 4, passes, VARIED)
    for order in (Order(1, 1), Order(1, 2, skip=8), Order(1, 1)):
        passes.begin(order)
        assert_equal_batches(batches, expected_batches(pictures, 4, order, VARIED))


def test_hosts_share_the_pictures_of_a_batch(shards):
    """Augmented as they would be on one host: what is drawn follows from the position."""
    (whole,) = make(shards, 26, Order(1, 2), VARIED)
    shares = [next(iter(make(shards, 26, Order(1, 2, host=h, hosts=2), VARIED))) for h in (0, 1)]
    assert [len(share["key"]) for share in shares] == [13, 12]
    by_key = dict(zip(whole["key"].numpy(), whole["image"].numpy(), strict=True))
    for share in shares:
        for key, image in zip(share["key"].numpy(), share["image"].numpy(), strict=True):
            np.testing.assert_array_equal(image, by_key.pop(key))
    assert not by_key


def test_batches_lack_damaged_records(shards, pictures):
    content = bytearray(shards[0].read_bytes())
    content[20] ^= 1  # in the payload of the first record
    shards[0].write_bytes(content)
    corrupt = Corrupt()
    found = list(make(shards, 1, Order(1, 2), VARIED, corrupt=corrupt))
    expected = list(expected_batches(pictures, 1, Order(1, 2), VARIED))
    assert_equal_batches(found, [batch for batch in expected if batch["key"] != [b"0.jpg"]])
    assert corrupt.count == 1
    keys = [set(batch["key"].numpy()) for batch in make(shards, 5, Order(1, 2), corrupt=corrupt)]
    assert sorted(map(len, keys)) == [4, 5, 5, 5, 5]


def test_a_record_without_a_picture_is_an_error(tmp_path, write_shards):
    shards = write_shards(tmp_path, [[b""]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="image/encoded"):
        list(make(shards, 1))


@settings(max_examples=40)
@given(st.lists(several_captions, min_size=1, max_size=4))
def test_captions_are_framed_as_by_a_plain_loop(all_texts):
    records = [
        encode_example(PictureRecord(b"", 0, 0, "x", "", "", tuple(texts), tuple(texts)))
        for texts in all_texts
    ]
    found = batches.parse_captions(tf.constant(records), IDS, MAX_WORDS)
    inputs, targets = expected_captions(all_texts)
    np.testing.assert_array_equal(found["inputs"], inputs)
    np.testing.assert_array_equal(found["targets"], targets)


def test_to_vary_pictures_takes_an_order(shards):
    with pytest.raises(ValueError, match="needs the order"):
        make(shards, 4, augment=VARIED)


def mean_colours(image):
    return tf.reduce_mean(tf.cast(image, tf.float32), axis=[1, 2], keepdims=True)


@pytest.mark.parametrize("encode", [mean_colours, tf.function(mean_colours)], ids=["eager", "tf"])
def test_features_take_the_place_of_pictures(shards, encode):
    pixels = make(shards, 4, Order(1, 2))
    features = encoded(pixels, encode)
    assert features.element_spec["features"].shape == [None, 1, 1, 3]
    for found, batch in zip(features, pixels, strict=True):
        np.testing.assert_array_equal(found.pop("features"), mean_colours(batch.pop("image")))
        assert_equal_batches([found], [{name: part.numpy() for name, part in batch.items()}])


def test_an_encoder_lives_as_long_as_what_it_encodes(shards):
    def encode(image):
        return mean_colours(image)

    alive, iterator = weakref.ref(encode), iter(encoded(make(shards, 4), encode))
    del encode
    gc.collect()
    assert len(list(iterator)) == 7
    del iterator
    gc.collect()
    assert alive() is None
