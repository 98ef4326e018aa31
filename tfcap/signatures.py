"""The functions of an exported captioner: picture bytes in, captions out, all in the graph.

Every function is batched, and one bad row never fails its neighbours: `error` [B] is empty where
a row is good and says what is wrong where it is not; a bad row's captions are empty and its
numbers zero.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from records.pictures import PictureSpec
from tfcap.captioner import Captioner, caption_log_probs
from tfcap.encoders import inference_encoder
from tfcap.pictures import decode_upload
from tfcap.search import GREEDY, SearchSpec, search
from tfcap.text import (
    CaptionCleaner,
    CaptionIds,
    split_words_core,
    split_words_text,
    teacher_forcing,
)


def build_signatures(
    captioner: Captioner, portable: bool, how: SearchSpec = GREEDY
) -> tuple[tf.Module, dict[str, Callable]]:
    """Make the signatures of a captioner.

    Args:
        captioner: what is exported.
        portable: whether to use core ops only; else words are split by tensorflow-text.
        how: captions are searched for.

    Returns:
        (a module that tracks the weights and tables, the signatures by name): `serving_default`
        (image_bytes), `complete` (image_bytes, prompt) and `score` (image_bytes, caption).
    """
    cleaner = CaptionCleaner(captioner.caption)
    ids = CaptionIds(captioner.vocabulary, split_words_core if portable else split_words_text)
    max_words = captioner.max_words
    encoder = inference_encoder(captioner.encoder)
    encode = functools.partial(_encode, encoder, captioner.picture)

    def serving_default(image_bytes):
        features, error = encode(image_bytes)
        found = search(captioner.decoder, features, max_words, how)
        return _rows(error, caption=ids.decode(found.words), log_prob=found.log_probs)

    def complete(image_bytes, prompt):
        features, error = encode(image_bytes)
        cleaned = cleaner.clean(prompt)
        words = ids.encode(cleaned)
        error = _too_long(words, max_words, "prompt", error)
        found = search(captioner.decoder, features, max_words, how, words)
        # Words of the prompt that are not in the vocabulary appear as they are.
        own = tf.range(max_words + 1)[None] >= tf.cast(words.row_lengths(), tf.int32)[:, None]
        continuation = ids.decode(tf.where(own, found.words, 0))
        caption = tf.strings.strip(tf.strings.join([cleaned, continuation], " "))
        return _rows(error, caption=caption, log_prob=found.log_probs)

    def score(image_bytes, caption):
        features, error = encode(image_bytes)
        words = ids.encode(cleaner.clean(caption))
        error = _too_long(words, max_words, "caption", error)
        inputs, targets = teacher_forcing(words, max_words)
        log_probs, counts = caption_log_probs(
            captioner.decoder, features, inputs[:, None], targets[:, None]
        )
        log_prob, count = log_probs[:, 0], counts[:, 0]
        return _rows(error, log_prob=log_prob, perplexity=tf.exp(-log_prob / count))

    def signature(function: Callable, *names: str) -> Callable:
        specs = [tf.TensorSpec([None], tf.string, name=name) for name in names]
        return tf.function(function, input_signature=specs)

    # Only variables and tables are tracked: a SavedModel that tracks the Keras model itself loads
    # in Python and then fails in the sessions of the C API and TF Serving. The encoder's weights
    # are constants of one function that all signatures call.
    module = tf.Module(name="captioner")
    module.weights = [variable.value for variable in captioner.decoder.variables]
    module.tables = [*cleaner.tables, *ids.tables]
    return module, {
        "serving_default": signature(serving_default, "image_bytes"),
        "complete": signature(complete, "image_bytes", "prompt"),
        "score": signature(score, "image_bytes", "caption"),
    }


def _encode(
    encoder: Callable[[tf.Tensor], tf.Tensor], picture: PictureSpec, image_bytes: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode and encode rows, string [B]; returns (features [B, h, w, C], error string [B])."""
    size = picture.size
    rows = tf.shape(image_bytes)[0]

    def decode(row, encoded):
        return row, decode_upload(encoded, picture)

    # Each row is decoded by a little pipeline of its own, which drops the rows that fail. The
    # sentinel row is there so that it never runs empty; its index lies outside of the batch.
    pictures = tf.data.Dataset.from_tensor_slices((tf.range(rows), image_bytes))
    pictures = pictures.map(decode, num_parallel_calls=tf.data.AUTOTUNE).ignore_errors()
    sentinel = tf.data.Dataset.from_tensors((rows, tf.zeros([size, size, 3], tf.uint8)))
    whole_batch = pictures.concatenate(sentinel).batch(tf.cast(rows, tf.int64) + 1)
    kept, pixels = whole_batch.get_single_element()
    # The encoder fails on no rows at all, so an empty batch keeps the sentinel until the end.
    padded = tf.maximum(rows, 1)
    pixels = tf.scatter_nd(kept[:, None], tf.cast(pixels, tf.float32), [rows + 1, size, size, 3])
    features = encoder(pixels[:padded])[:rows]
    good = tf.scatter_nd(kept[:, None], tf.ones_like(kept), [rows + 1])[:rows] > 0
    message = (
        "image_bytes cannot be decoded: give a whole JPEG, PNG, GIF or BMP "
        f"of at most {picture.max_pixels} pixels"
    )
    return features, tf.where(good, "", message)


def _too_long(words: tf.RaggedTensor, limit: int, name: str, error: tf.Tensor) -> tf.Tensor:
    """Add an error to the rows with more words than the limit, unless they have one."""
    message = f"{name} has more than {limit} words"
    return tf.where((error == "") & (words.row_lengths() > limit), message, error)


def _rows(error: tf.Tensor, **outputs: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the outputs [B] with the rows that have an error blanked, and the errors."""
    blanked = {
        name: tf.where(error == "", output, tf.zeros_like(output))
        for name, output in outputs.items()
    }
    return {**blanked, "error": error}
