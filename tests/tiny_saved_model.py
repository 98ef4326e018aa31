"""A SavedModel of a few string ops, with signatures as an export has them, and some that fail.

    python tests/tiny_saved_model.py BASE

writes `BASE/1`, which the conformance suite wants under the name `conformance`:

    tensorflow_model_server --model_name=conformance --model_base_path=BASE \\
        --rest_api_port=8501 --port=8500
"""

import sys
from pathlib import Path

import tensorflow as tf

NAME = "conformance"


def write_tiny_model(path: Path, tag: str = "tiny") -> Path:
    """Write the model; `tag` begins every caption, so that versions can be told apart."""

    def serving_default(image_bytes):
        length = tf.strings.length(image_bytes)
        # As the row of a broken picture in an export.
        error = tf.where(length == 0, "image_bytes cannot be decoded", "")
        caption = tf.strings.join([tag, ": ", image_bytes])
        log_prob = -tf.cast(length, tf.float32) / 10
        return {
            "caption": tf.where(length == 0, "", caption),
            "log_prob": tf.where(length == 0, 0.0, log_prob),
            "error": error,
        }

    def complete(image_bytes, prompt):
        return {"caption": tf.strings.join([prompt, image_bytes], " ")}

    def explain(image_bytes):
        rows = tf.shape(image_bytes)[0]
        return {
            "tokens": tf.stack([image_bytes, image_bytes, tf.zeros_like(image_bytes)], axis=1),
            "attention": tf.fill([rows, 3, 2, 2], 0.25),
        }

    def thumbnail(image_bytes):
        return {"picture_bytes": image_bytes}

    def numbers(floats, whole, yes):
        return {
            "floats": floats,
            "whole": whole,
            "no": tf.logical_not(yes),
        }

    def fragile(image_bytes):
        sound = tf.debugging.Assert(tf.reduce_all(image_bytes != "boom"), ["boom is not taken"])
        with tf.control_dependencies([sound]):
            return {"caption": tf.identity(image_bytes)}

    def half(image_bytes):
        return {"half": tf.cast(tf.strings.length(image_bytes), tf.float16)}

    text = tf.TensorSpec([None], tf.string, "image_bytes")
    specs = {
        serving_default: [text],
        complete: [text, tf.TensorSpec([None], tf.string, "prompt")],
        explain: [text],
        thumbnail: [text],
        numbers: [
            tf.TensorSpec([None, 2], tf.float32, "floats"),
            tf.TensorSpec([None], tf.int64, "whole"),
            tf.TensorSpec([None], tf.bool, "yes"),
        ],
        fragile: [text],
        half: [text],
    }
    signatures = {
        function.__name__: tf.function(function, input_signature=spec)
        for function, spec in specs.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    tf.saved_model.save(tf.Module(), str(path), signatures)
    return path


if __name__ == "__main__":
    write_tiny_model(Path(sys.argv[1]) / "1")
