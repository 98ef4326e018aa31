"""A captioner for LiteRT: on phones and small boards, where no SavedModel can go.

One file holds two functions: `encode` sees a picture, `step` reads a word. The loop over the words,
the decoding of pictures and the vocabulary stay with the caller: `serving/loaders/litert` is such a
caller in 80 lines.
"""

import enum
import json
import tempfile
from pathlib import Path

import tensorflow as tf

from records.files import write_whole
from tfcap.captioner import Captioner
from tfcap.decoders.base import State
from tfcap.encoders import inference_encoder

FACTS = "litert.json"
WORDS = "vocab.txt"


class Precision(enum.Enum):
    """What weights are stored as.

    FLOAT16 halves the file, with sums in float32 on a CPU. INT8 quarters it: weights by channel,
    activations by the range that each picture has (dynamic range quantization), which needs no
    pictures to calibrate with.
    """

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


def write_litert(captioner: Captioner, directory: Path) -> None:
    """Write `caption.<precision>.tflite` for each precision, the vocabulary and what a loop needs.

    Both functions take and return one picture's tensors. `encode`: pixels, uint8 [1, S, S, 3], to
    the decoder's state, `said_0`, ... and `seen_0`, ... `step`: word, int32 [1], and the state to
    log_probs, float32 [1, V], and the `said_*` of the next step; what was seen stays.

    Args:
        captioner: what is exported.
        directory: that is there.
    """
    with tempfile.TemporaryDirectory() as scratch:
        _save(captioner, Path(scratch))
        for precision in Precision:
            model = _convert(scratch, precision)
            write_whole(directory / f"caption.{precision.value}.tflite", model)
    facts = {"size": captioner.picture.size, "max_words": captioner.max_words}
    write_whole(directory / FACTS, json.dumps(facts, indent=1) + "\n")
    write_whole(directory / WORDS, captioner.vocabulary.to_text())


def _save(captioner: Captioner, directory: Path) -> None:
    """Save both functions as signatures of a SavedModel."""
    encoder, decoder = inference_encoder(captioner.encoder), captioner.decoder
    size = captioner.picture.size

    def encode(pixels):
        return _named(decoder.start(encoder(pixels)))

    encode = tf.function(
        encode, [tf.TensorSpec([1, size, size, 3], tf.uint8, "pixels")], autograph=False
    )
    shapes = encode.get_concrete_function().structured_outputs
    layout = decoder.start(tf.zeros([1, *captioner.encoder.output_shape[1:]]))

    def step(word, **state):
        outputs, following = decoder.step(word, _packed(layout, state))
        said = {name: value for name, value in _named(following).items() if name[:4] == "said"}
        return {"log_probs": tf.nn.log_softmax(decoder.logits(outputs)), **said}

    states = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in shapes.items()}
    step = tf.function(step, autograph=False).get_concrete_function(
        tf.TensorSpec([1], tf.int32, "word"), **states
    )
    module = tf.Module()
    module.weights = [variable.value for variable in decoder.variables]
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(directory), {"encode": encode, "step": step}, options)


def _named(state: State) -> dict[str, tf.Tensor]:
    """Return the tensors of a state by flat names."""
    return {
        f"{part}_{number}": tensor
        for part, nest in state._asdict().items()
        for number, tensor in enumerate(tf.nest.flatten(nest))
    }


def _packed(layout: State, tensors: dict[str, tf.Tensor]) -> State:
    """Return `_named`'s tensors as a state of this layout."""
    return tf.nest.pack_sequence_as(layout, [tensors[name] for name in _named(layout)])


def _convert(saved: str, precision: Precision) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=["encode", "step"])
    if precision is not Precision.FLOAT32:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision is Precision.FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()
