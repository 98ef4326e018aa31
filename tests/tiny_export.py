"""An export with the signatures of a captioner, made of a few ops: it names the main colour."""

import json
from pathlib import Path

import tensorflow as tf

from records.captions import CaptionSpec
from records.pictures import PictureSpec

COLOURS = ("red", "green", "blue")
BLACK = "image_bytes are black"


def colour_of(encoded):
    """Return float32 [3], the mean red, green and blue of a JPEG, each 0..1."""
    return tf.reduce_mean(tf.cast(tf.io.decode_jpeg(encoded, channels=3), tf.float32), [0, 1]) / 255


def write_tiny_export(directory: Path, embed: bool = True, portable: bool = True) -> Path:
    """Write the export of one version.

    A picture's log_prob is minus what its main colour lacks; black pictures are errors.

    Args:
        directory: of the version.
        embed: whether it has the signature `embed`.
        portable: what its card says; it is portable.
    """

    def means(image_bytes):
        return tf.map_fn(colour_of, image_bytes, fn_output_signature=tf.TensorSpec([3]))

    def serving_default(image_bytes):
        colours = means(image_bytes)
        names = tf.gather(tf.constant(COLOURS), tf.argmax(colours, axis=1))
        brightest = tf.reduce_max(colours, axis=1)
        good = brightest > 0.1
        return {
            "caption": tf.where(good, tf.strings.join(["a ", names, " picture"]), ""),
            "log_prob": brightest - 1,
            "error": tf.where(good, "", BLACK),
        }

    def score(image_bytes, caption):
        says = tf.stack([tf.strings.regex_full_match(caption, f".*{c}.*") for c in COLOURS], 1)
        log_prob = tf.reduce_sum(tf.where(says, tf.math.log(means(image_bytes) + 1e-3), 0), axis=1)
        return {
            "log_prob": log_prob,
            "perplexity": tf.exp(-log_prob),
            "error": tf.zeros_like(caption),
        }

    def embedding(image_bytes):
        return {"embedding": means(image_bytes), "error": tf.fill(tf.shape(image_bytes), "")}

    def signature(function, *names):
        specs = [tf.TensorSpec([None], tf.string, name=name) for name in names]
        return tf.function(function, input_signature=specs)

    signatures = {
        "serving_default": signature(serving_default, "image_bytes"),
        "score": signature(score, "image_bytes", "caption"),
    }
    if embed:
        signatures["embed"] = signature(embedding, "image_bytes")
    tf.saved_model.save(tf.Module(), str(directory), signatures)
    card = {
        "portable": portable,
        "picture": PictureSpec(size=32).to_dict(),
        "caption": CaptionSpec().to_dict(),
        "search": {"beams": 1, "length_penalty": 0.0, "no_repeat": 0},
    }
    (directory / "assets.extra").mkdir()
    (directory / "assets.extra" / "tfcap.json").write_text(json.dumps(card))
    return directory
