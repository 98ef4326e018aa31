"""What a decoder looked at, word by word, and sheets of it for TensorBoard."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from records.vocabulary import END_ID, PAD_ID, START_ID
from tfcap import search
from tfcap.captioner import Captioner
from tfcap.encoders import inference_encoder
from tfcap.uploads import decode_upload

# Pixels.
PANEL = 192  # side of a picture
GAP = 8
FONT_SIZE = 18
LINE = 24  # height of a line of text

COLUMNS = 6  # panels side by side
DARK = 0.45  # brightness of what a word did not look at, which loses its colours too
GLOW = 0.4  # share of amber in what it looked at most

_FONT = ImageFont.load_default(FONT_SIZE)
_INK, _PAPER = (32, 33, 36), (255, 255, 255)
_AMBER = np.array([255, 180, 40], np.float32)


class Look(NamedTuple):
    """A word, and where the decoder looked for it.

    Attributes:
        word: of a caption.
        weights: float [h, w], of the map's cells.
    """

    word: str
    weights: np.ndarray


def write_samples(
    captioner: Captioner,
    keys: Sequence[str],
    pixels: np.ndarray,
    features: tf.Tensor,
    step: int,
) -> None:
    """Caption pictures greedily and write their sheets to the default summary writer.

    Args:
        captioner: says the captions.
        keys: names of the pictures, which become those of the summaries.
        pixels: uint8 [B, S, S, 3].
        features: float [B, h, w, C], the same pictures encoded.
        step: of the summaries.
    """
    for key, picture, words, weights in zip(
        keys, pixels, *_captions(captioner, features), strict=True
    ):
        sheet = attention_sheet(picture, words, weights)
        tf.summary.image(f"samples/{key}", sheet[None], step=step)


def attention_of(
    captioner: Captioner, encoded: Sequence[bytes], captions: Sequence[str]
) -> list[list[Look]] | None:
    """Tell where the decoder looks for each word of captions, whoever said them.

    Args:
        captioner: whose decoder looks.
        encoded: JPEGs of B pictures, B at least 1.
        captions: of each, words of the vocabulary with blanks between them.

    Returns:
        the looks of each caption; None where the decoder has no attention.
    """
    pixels = tf.stack([decode_upload(tf.constant(jpeg), captioner.picture) for jpeg in encoded])
    words = [caption.split() for caption in captions]
    ids = [captioner.vocabulary.encode(of_caption) for of_caption in words]
    longest = max(1, *map(len, ids))  # recurrent layers fail on no column
    padded = tf.constant([row + [PAD_ID] * (longest - len(row)) for row in ids], tf.int32)
    maps = _maps(captioner, inference_encoder(captioner.encoder)(pixels), padded)
    if maps is None:
        return None
    return [
        [Look(*look) for look in zip(of_caption, weights, strict=False)]
        for of_caption, weights in zip(words, maps, strict=True)
    ]


def explained(explain: Callable, encoded: Sequence[bytes]) -> list[list[Look]] | None:
    """Ask an export where it looks.

    Args:
        explain: its signature of that name: from image_bytes [B] to tokens, string [B, T], empty
            after a caption's end, and attention, float [B, T, h, w].
        encoded: JPEGs of B pictures.

    Returns:
        the looks of each picture's caption; None where the decoder has no attention.
    """
    found = explain(image_bytes=tf.constant(list(encoded)))
    attention = found["attention"].numpy()
    if attention.shape[2:] == (1, 1) or not attention.any():
        return None
    rows = zip(found["tokens"].numpy(), attention, strict=True)
    return [
        [
            Look(token.decode("utf-8", "replace"), weights)
            for token, weights in zip(tokens, of_row, strict=True)
            if token
        ]
        for tokens, of_row in rows
    ]


def _captions(captioner: Captioner, features: tf.Tensor):
    """Return the words of each picture's caption, and of each word the weights of the map."""
    found = search.greedy(captioner.decoder, features, captioner.max_words).words
    captions = [captioner.vocabulary.decode(ids) for ids in found.numpy()]
    maps = _maps(captioner, features, found)
    if maps is None:
        return captions, [None] * len(captions)
    spoken = found.numpy() > END_ID
    return captions, [row[there] for row, there in zip(maps, spoken, strict=True)]


def _maps(captioner: Captioner, features: tf.Tensor, ids: tf.Tensor) -> np.ndarray | None:
    """Return the weights [B, T, h, w] with which the decoder looked for the words [B, T]."""
    starts = tf.fill([tf.shape(ids)[0], 1], START_ID)
    inputs = tf.concat([starts, ids[:, :-1]], axis=1)
    maps = captioner.decoder.attend(features, inputs[:, None])
    return None if maps is None else maps.numpy()[:, 0]


def attention_sheet(
    pixels: np.ndarray, words: Sequence[str], weights: np.ndarray | None
) -> np.ndarray:
    """Draw a picture over its caption, and for each word where the decoder looked.

    A word's panel shines where the decoder looked, relative to the cell that it looked at most;
    the rest of the picture is dark and grey.

    Args:
        pixels: uint8 [S, S, 3].
        words: of the caption.
        weights: float [len(words), h, w], of the map's cells; None leaves the words' panels out.

    Returns:
        uint8 [H, W, 3].
    """
    picture = Image.fromarray(pixels).resize((PANEL, PANEL), Image.Resampling.BICUBIC)
    panels = [] if weights is None else [lit(picture, of_word) for of_word in weights]
    columns = min(COLUMNS, 1 + len(panels))
    width = columns * (PANEL + GAP) + GAP
    lines = _wrapped(" ".join(words), width - 2 * GAP)
    top = GAP + LINE * len(lines) + GAP
    rows = math.ceil((1 + len(panels)) / columns)
    sheet = Image.new("RGB", (width, top + rows * (PANEL + LINE + GAP)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        draw.text((GAP, GAP + number * LINE), line, _INK, _FONT)
    titles = ["", *words]
    for number, (panel, title) in enumerate(zip([picture, *panels], titles, strict=False)):
        left = GAP + number % columns * (PANEL + GAP)
        above = top + number // columns * (PANEL + LINE + GAP)
        draw.text((left, above), _cut(title, PANEL), _INK, _FONT)
        sheet.paste(panel, (left, above + LINE))
    return np.asarray(sheet)


def lit(picture: Image.Image, weights: np.ndarray) -> Image.Image:
    """Return the RGB picture as lit by weights [h, w], relative to the largest of them."""
    light = np.asarray(weights, np.float32) / max(weights.max(), np.finfo(np.float32).tiny)
    light = Image.fromarray(light).resize(picture.size, Image.Resampling.BILINEAR)
    light = np.asarray(light)[..., None]
    unlit = DARK * np.asarray(picture.convert("L"), np.float32)[..., None]
    lit = (1 - GLOW) * np.asarray(picture, np.float32) + GLOW * _AMBER
    shown = unlit + light * (lit - unlit)
    return Image.fromarray(shown.round().clip(0, 255).astype(np.uint8))


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines of at most so many pixels; there is always a line."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _FONT.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(_cut(word, width))
    return lines


def _cut(word: str, width: int) -> str:
    """Shorten a word that is wider than so many pixels, with dots at its end."""
    if _FONT.getlength(word) <= width:
        return word
    while word and _FONT.getlength(f"{word}…") > width:
        word = word[:-1]
    return f"{word}…"
