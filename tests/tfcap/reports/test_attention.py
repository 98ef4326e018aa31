import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from records.vocabulary import START_ID
from tfcap import search
from tfcap.decoders.merge import MergeSpec
from tfcap.decoders.registry import build_decoder
from tfcap.reports.attention import (
    COLUMNS,
    GAP,
    LINE,
    PANEL,
    attention_of,
    attention_sheet,
    explained,
    write_samples,
)
from tfcap.uploads import decode_upload

GREY = np.full((64, 64, 3), 128, np.uint8)


def panels(sheet, count, lines=1):
    """Cut the panels out of a sheet."""
    columns = min(COLUMNS, count)
    for number in range(count):
        top = GAP + lines * LINE + GAP + number // columns * (PANEL + LINE + GAP) + LINE
        left = GAP + number % columns * (PANEL + GAP)
        yield sheet[top : top + PANEL, left : left + PANEL]


def test_a_panel_shines_where_its_word_looked():
    words = ["a", "dog", "runs", "on", "the", "red", "grass"]
    places = [(number % 3, number % 4) for number in range(len(words))]
    weights = np.zeros((len(words), 3, 4))
    for of_word, place in zip(weights, places, strict=True):
        of_word[place] = 1
    sheet = attention_sheet(GREY, words, weights)
    assert sheet.dtype == np.uint8
    picture, *of_words = panels(sheet, 1 + len(words))
    assert (picture == 128).all()
    for panel, (row, column) in zip(of_words, places, strict=True):
        cells = panel.sum(axis=-1).reshape(3, PANEL // 3, 4, PANEL // 4).mean(axis=(1, 3))
        assert np.unravel_index(cells.argmax(), cells.shape) == (row, column)


def test_light_is_relative_to_the_cell_looked_at_most():
    weights = np.random.default_rng(1).random((1, 7, 7)).astype(np.float32)
    faint, strong = (attention_sheet(GREY, ["dog"], weights * scale) for scale in (1e-6, 1.0))
    assert np.abs(faint.astype(int) - strong).max() <= 1


@pytest.mark.parametrize(
    "words", [[], ["dog"], ["w" * 99] * 3, ["wood"] * 40, ["狗", "'s", "\x7f"]]
)
def test_every_caption_stays_inside_of_its_sheet(words):
    sheet = attention_sheet(GREY, words, np.full((len(words), 2, 2), 0.25))
    white = (sheet == 255).all(axis=-1)
    assert white[:GAP].all() and white[-GAP:].all()
    assert white[:, :GAP].all() and white[:, -GAP:].all()


def test_a_sheet_without_weights_is_the_picture_and_its_caption():
    sheet = attention_sheet(GREY, ["a", "dog"], None)
    assert sheet.shape[1] == PANEL + 2 * GAP
    assert (next(panels(sheet, 1)) == 128).all()


def test_samples_show_the_greedy_captions_with_their_attention(captioner, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    features = captioner.encoder(pixels.astype(np.float32), training=False)
    writer = tf.summary.create_file_writer(str(tmp_path))
    with writer.as_default():
        write_samples(captioner, ["1.jpg", "2.jpg", "3.jpg"], pixels, features, step=7)
    writer.close()
    (file,) = tmp_path.iterdir()
    drawn = {
        value.tag: tf.io.decode_png(value.tensor.string_val[2]).numpy()
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    }
    assert list(drawn) == ["samples/1.jpg", "samples/2.jpg", "samples/3.jpg"]
    found = search.greedy(captioner.decoder, features, captioner.max_words).words
    for number, sheet in enumerate(drawn.values()):
        ids = found[number].numpy()
        inputs = tf.constant([[[START_ID, *ids[:-1]]]])
        weights = captioner.decoder.attend(features[number : number + 1], inputs)[0, 0].numpy()
        words = captioner.vocabulary.decode(ids)
        alone = attention_sheet(pixels[number], words, weights[: len(words)])
        assert np.abs(sheet.astype(int) - alone).max() <= 1  # a batch rounds differently


def test_looks_are_those_of_the_caption_whoever_said_it(captioner, jpeg):
    encoded = [jpeg(seed) for seed in (1, 2, 3)]
    captions = ["the red dog sits", "", "a cat"]
    found = attention_of(captioner, encoded, captions)
    assert [[look.word for look in looks] for looks in found] == [
        caption.split() for caption in captions
    ]
    for picture, caption, looks in zip(encoded, captions, found, strict=True):
        pixels = decode_upload(tf.constant(picture), captioner.picture)
        features = captioner.encoder(tf.cast(pixels[None], tf.float32), training=False)
        ids = [START_ID, *captioner.vocabulary.encode(caption.split())]
        weights = captioner.decoder.attend(features, tf.constant([[ids]]))[0, 0].numpy()
        for look, expected in zip(looks, weights, strict=False):
            np.testing.assert_allclose(look.weights, expected, atol=1e-3)


def test_captions_without_words_have_no_looks(captioner, jpeg):
    assert attention_of(captioner, [jpeg(1)], [""]) == [[]]


def test_a_decoder_without_attention_has_no_looks(captioner, jpeg):
    decoder = build_decoder(MergeSpec(units=4, embedding=4), len(captioner.vocabulary))
    decoder.build(captioner.encoder.output_shape)
    blind = dataclasses.replace(captioner, decoder=decoder)
    assert attention_of(blind, [jpeg(1)], ["a dog"]) is None


def test_an_export_explains_itself(jpeg):
    maps = np.random.default_rng(0).random((2, 3, 2, 2)).astype(np.float32)

    def explain(image_bytes):
        assert image_bytes.shape == [2]
        tokens = [["a", "dog", ""], ["", "", ""]]  # the second one could not be read
        return {"tokens": tf.constant(tokens), "attention": tf.constant(maps)}

    first, second = explained(explain, [jpeg(1), b"no picture"])
    assert [look.word for look in first] == ["a", "dog"]
    np.testing.assert_array_equal([look.weights for look in first], maps[0, :2])
    assert second == []

    maps[:] = 0
    assert explained(explain, [jpeg(1), b"no picture"]) is None
