"""A SavedModel that captions as an export does, of a few ops: it tells colour and width.

Its attention is known: of the word at i, most lies in cell i of three times three.
"""

import io
from pathlib import Path

import tensorflow as tf
from PIL import Image

COLOURS = ("red", "green", "blue")
UNREADABLE = "image_bytes cannot be decoded: give a whole JPEG or PNG of at most 50000000 pixels"
TOO_LONG = "prompt has more than 20 words"
WORDS = 5  # of a caption: a red picture 64 wide
_STEPS = WORDS + 1
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG")


def write_page_captioner(path: Path) -> Path:
    """Write the model with the signatures that the page asks for: explain, beam and complete."""

    def explain(image_bytes):
        tokens, error = _describe(image_bytes)
        rows = tf.shape(image_bytes)[0]
        attention = tf.reshape(0.9 * tf.eye(_STEPS, 9) + 0.1 / 9, [1, _STEPS, 3, 3])
        log_prob = tf.math.log(tf.constant([[0.9, 0.8, 0.7, 0.6, 0.5, 1.0]]))
        return {
            "caption": _joined(tokens),
            "tokens": tokens,
            "log_probs": tf.tile(log_prob, [rows, 1]),
            "attention": tf.tile(attention, [rows, 1, 1, 1]),
            "error": error,
        }

    def beam(image_bytes):
        tokens, error = _describe(image_bytes)
        caption = _joined(tokens)
        return {
            "captions": tf.stack([caption, tokens[:, 1], tokens[:, 2]], axis=1),
            "log_probs": tf.tile(
                tf.math.log([[0.4, 0.2, 0.1]]), tf.stack([tf.shape(image_bytes)[0], 1])
            ),
            "error": error,
        }

    def complete(image_bytes, prompt):
        tokens, error = _describe(image_bytes)
        words = tf.strings.split(prompt).row_lengths()
        return {
            "caption": tf.strings.join([prompt, tokens[:, 1]], " "),
            "error": tf.where(words > 20, TOO_LONG, error),
        }

    image = tf.TensorSpec([None], tf.string, "image_bytes")
    prompt = tf.TensorSpec([None], tf.string, "prompt")
    signatures = {
        "explain": tf.function(explain, input_signature=[image]),
        "beam": tf.function(beam, input_signature=[image]),
        "complete": tf.function(complete, input_signature=[image, prompt]),
    }
    tf.saved_model.save(tf.Module(), str(path), signatures)
    return path


def picture(colour="red", size=(60, 30), kind="PNG", **options) -> dict:
    """Return a picture of one colour as a file to be chosen."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind, **options)
    name = f"{colour}.{kind.lower()}"
    return {"name": name, "mimeType": f"image/{kind.lower()}", "buffer": buffer.getvalue()}


def _describe(image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return (tokens string [B, 6], "" at the end, error string [B])."""

    def describe(encoded):
        pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        pixels = tf.ensure_shape(pixels, [None, None, 3])
        mean = tf.reduce_mean(tf.cast(pixels, tf.float32), axis=[0, 1])
        colour = tf.gather(COLOURS, tf.argmax(mean))
        width = tf.strings.as_string(tf.shape(pixels)[1])
        return tf.stack(["a", colour, "picture", width, "wide", ""])

    def one(encoded):
        good = tf.reduce_any([tf.strings.substr(encoded, 0, len(m)) == m for m in _MAGIC])
        return tf.cond(good, lambda: describe(encoded), lambda: tf.fill([_STEPS], ""))

    tokens = tf.map_fn(one, image_bytes)
    return tokens, tf.where(tokens[:, 0] == "", UNREADABLE, "")


def _joined(tokens: tf.Tensor) -> tf.Tensor:
    return tf.strings.strip(tf.strings.reduce_join(tokens, axis=1, separator=" "))
