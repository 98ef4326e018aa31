"""The functions of an exported captioner: picture bytes in, captions out, all in the graph.

Every function is batched, and one bad row never fails its neighbours: `error` [B] is empty where
a row is good and says what is wrong where it is not; a bad row's captions are empty and its
numbers zero.
"""

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from records.pictures import PictureSpec
from records.vocabulary import END_ID, PAD_ID, START_ID
from tfcap.captioner import Captioner, caption_log_probs, word_log_probs
from tfcap.decoders.base import Decoder
from tfcap.encoders import inference_encoder
from tfcap.rows import decode_rows
from tfcap.search import GREEDY, SearchSpec, beam, search
from tfcap.text import (
    CaptionCleaner,
    CaptionIds,
    split_words_core,
    split_words_text,
    teacher_forcing,
)
from tfcap.uploads import FORMATS

BEAMS = 3  # that `beam` follows where the search of the export is greedy


def build_signatures(
    captioner: Captioner, portable: bool, how: SearchSpec = GREEDY
) -> tuple[tf.Module, dict[str, Callable]]:
    """Make the signatures of a captioner.

    Args:
        captioner: what is exported.
        portable: whether to use core ops only; else words are split by tensorflow-text.
        how: captions are searched for.

    Returns:
        (a module that tracks the weights and tables, the signatures by name): `serving_default`,
        `beam`, `embed` and `explain` (image_bytes), `complete` (image_bytes, prompt) and `score`
        (image_bytes, caption).
    """
    captioner = dataclasses.replace(captioner, decoder=captioner.decoder.for_search())
    cleaner = CaptionCleaner(captioner.caption)
    ids = CaptionIds(captioner.vocabulary, split_words_core if portable else split_words_text)
    max_words = captioner.max_words
    encoder = inference_encoder(captioner.encoder)
    # One function of the graph, which all signatures call.
    encode = tf.function(
        functools.partial(_encode, encoder, captioner.picture),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )

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

    def n_best(image_bytes):
        features, error = encode(image_bytes)
        width = how.beams if how.beams > 1 else BEAMS
        found = beam(
            captioner.decoder, features, max_words, width, how.length_penalty, how.no_repeat
        )
        return _rows(error, captions=ids.decode(found.words), log_probs=found.log_probs)

    def embed(image_bytes):
        features, error = encode(image_bytes)
        return _rows(error, embedding=tf.reduce_mean(features, axis=[1, 2]))

    def explain(image_bytes):
        features, error = encode(image_bytes)
        found = search(captioner.decoder, features, max_words, how)
        log_probs, attention = _explain(captioner.decoder, features, found.words)
        return _rows(
            error,
            caption=ids.decode(found.words),
            tokens=ids.decode(found.words[:, :-1, None]),
            log_probs=log_probs,
            attention=attention,
        )

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
        "beam": signature(n_best, "image_bytes"),
        "embed": signature(embed, "image_bytes"),
        "explain": signature(explain, "image_bytes"),
    }


def _encode(
    encoder: Callable[[tf.Tensor], tf.Tensor], picture: PictureSpec, image_bytes: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode and encode rows, string [B]; returns (features [B, h, w, C], error string [B])."""
    rows = tf.shape(image_bytes)[0]
    pixels, good = decode_rows(image_bytes, picture)
    # The encoder fails on no rows at all, so there is one until here.
    features = encoder(pixels)[:rows]
    message = (
        f"image_bytes cannot be decoded: give a whole {FORMATS} "
        f"of at most {picture.max_pixels} pixels"
    )
    return features, tf.where(good, "", message)


def _explain(
    decoder: Decoder, features: tf.Tensor, words: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Tell how sure a decoder is of each word of captions, and where it looks for it.

    Args:
        decoder: predicts the next word.
        features: float [B, h, w, C].
        words: int32 [B, max_words + 1], of a search.

    Returns:
        (log probabilities, float32 [B, max_words], attention, float32 [B, max_words, h, w], 1 in
        sum), both 0 behind the last word; attention is 0 where the decoder has none.
    """
    starts = tf.fill([tf.shape(words)[0], 1], START_ID)
    inputs = tf.where(words == PAD_ID, PAD_ID, tf.concat([starts, words[:, :-1]], axis=1))
    log_probs = word_log_probs(decoder, features, inputs[:, None], words[:, None])[:, 0]
    attention = decoder.attend(features, inputs[:, None])
    if attention is None:
        cells = tf.shape(features)[1:3]
        attention = tf.zeros(tf.concat([tf.shape(inputs[:, None]), cells], axis=0))
    is_word = words[:, :-1] > END_ID
    return (
        tf.where(is_word, log_probs[:, :-1], 0.0),
        tf.where(is_word[..., None, None], attention[:, 0, :-1], 0.0),
    )


def _too_long(words: tf.RaggedTensor, limit: int, name: str, error: tf.Tensor) -> tf.Tensor:
    """Add an error to the rows with more words than the limit, unless they have one."""
    message = f"{name} has more than {limit} words"
    return tf.where((error == "") & (words.row_lengths() > limit), message, error)


def _rows(error: tf.Tensor, **outputs: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the outputs [B, ...] with the rows that have an error blanked, and the errors [B]."""

    def blanked(output: tf.Tensor) -> tf.Tensor:
        good = tf.reshape(error == "", [-1] + [1] * (output.shape.rank - 1))
        return tf.where(good, output, tf.zeros_like(output))

    return {**{name: blanked(output) for name, output in outputs.items()}, "error": error}
