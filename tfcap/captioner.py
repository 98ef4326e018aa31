"""The captioner: a frozen encoder, a decoder, and the vocabulary between them."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import tensorflow as tf

from records.captions import CaptionSpec
from records.errors import UserError
from records.pictures import PictureSpec
from records.vocabulary import PAD_ID, Vocabulary
from tfcap import runs, search
from tfcap.config import ModelSpec, RunConfig
from tfcap.decoders import build_decoder
from tfcap.decoders.base import Decoder
from tfcap.decoders.cross_entropy import cross_entropy
from tfcap.decoders.ensemble import EnsembleDecoder
from tfcap.decoders.packing import filled_up
from tfcap.encoders import build_encoder, load_weights
from tfcap.features.spec import identify_encoder
from tfcap.text import CaptionIds


@dataclasses.dataclass(frozen=True)
class Captioner:
    """All that captions a picture.

    Attributes:
        encoder: float [B, S, S, 3], values 0..255, to features [B, h, w, C].
        decoder: features to words.
        vocabulary: the words.
        ids: the vocabulary in the graph.
        picture: how pictures become the encoder's pixels.
        caption: how captions were cleaned.
        max_words: longest caption in words.
    """

    encoder: keras.Model
    decoder: Decoder
    vocabulary: Vocabulary
    ids: CaptionIds
    picture: PictureSpec
    caption: CaptionSpec
    max_words: int

    def greedy(self, features: tf.Tensor) -> tf.Tensor:
        """Return the greedy captions, string [B], of features [B, h, w, C]."""
        return self.ids.decode(search.greedy(self.decoder, features, self.max_words).words)


def build_captioner(
    model: ModelSpec, picture: PictureSpec, caption: CaptionSpec, vocabulary: Vocabulary
) -> Captioner:
    """Build a captioner with the weights that the spec names.

    Raises:
        UserError: the encoder, its weights or the decoder's are not to be had.
    """
    encoder = build_encoder(model.encoder, picture.size, model.encoder_weights, model.pooled)
    decoder = build_decoder(model.decoder, len(vocabulary.words))
    decoder.build(encoder.output_shape)
    if model.decoder_weights != "none":
        load_weights(decoder, Path(model.decoder_weights))
    return Captioner(
        encoder=encoder,
        decoder=decoder,
        vocabulary=vocabulary,
        ids=CaptionIds(vocabulary),
        picture=picture,
        caption=caption,
        max_words=model.max_words,
    )


def load_captioner(run: Path, epoch: int | None = None) -> Captioner:
    """Build the captioner of a run.

    Args:
        run: the run directory.
        epoch: whose weights, counted from 1, of a run that keeps them; of the best by default.

    Raises:
        UserError: the directory is no run, or has not got the weights.
    """
    config = RunConfig.load(run / runs.CONFIG)
    if not (run / runs.DECODER).exists():
        raise UserError(f"{run} has no trained epoch yet: run `tfcap train` on it first")
    decoder, encoder = run / runs.DECODER, run / runs.ENCODER
    if epoch is not None:
        kept = runs.epoch_directory(run, epoch - 1)
        if not (kept / runs.DECODER).exists():
            raise UserError(f"{run} has not kept epoch {epoch}: train it with --keep-epochs")
        decoder = kept / runs.DECODER
        encoder = kept / runs.ENCODER if (kept / runs.ENCODER).exists() else encoder
    weights = {"encoder_weights": str(encoder), "decoder_weights": str(decoder)}
    model = dataclasses.replace(config.model, **weights)
    vocabulary = Vocabulary.read(run / runs.VOCABULARY)
    return build_captioner(model, config.picture, config.caption, vocabulary)


def load_ensemble(members: Sequence[Path]) -> Captioner:
    """Build one captioner of several runs, that has the mean of their probabilities.

    Args:
        members: run directories, of one vocabulary and one encoder with the same weights.

    Raises:
        UserError: as `load_captioner`, and where the runs do not go together.
    """
    first, *others = captioners = [load_captioner(run) for run in members]
    for run, other in zip(members[1:], others, strict=True):
        check_alike(first, other, run)
    decoder = EnsembleDecoder([each.decoder for each in captioners], name="decoder")
    return dataclasses.replace(first, decoder=decoder)


def check_alike(captioner: Captioner, other: Captioner, run: Path) -> None:
    """Find that two captioners see the same and speak the same words.

    Args:
        captioner: the one.
        other: the other.
        run: where the other comes from.

    Raises:
        UserError: they do not.
    """
    same = {
        "vocabulary": other.vocabulary == captioner.vocabulary,
        "preprocessing": (other.picture, other.caption) == (captioner.picture, captioner.caption),
        "max_words": other.max_words == captioner.max_words,
        "encoder": other.encoder.output_shape == captioner.encoder.output_shape
        and identify_encoder("", other.encoder) == identify_encoder("", captioner.encoder),
    }
    require_same(same, run, "give runs on one dataset and one frozen encoder")


def require_same(same: dict[str, bool], run: Path, remedy: str) -> None:
    """Refuse a run that differs from others in what is not the same.

    Raises:
        UserError: names it, and the remedy.
    """
    if different := [name for name, equal in same.items() if not equal]:
        raise UserError(
            f"{run} does not go with the others, it differs in: {', '.join(different)}: {remedy}"
        )


class Forced(NamedTuple):
    """What a decoder made of the W words that count in captions.

    Attributes:
        losses: of each word in nats, float32 [W], caption by caption.
        right: 1 where it was the likeliest, else 0, float32 [W].
        counts: which targets count, bool [B, K, T].
    """

    losses: tf.Tensor
    right: tf.Tensor
    counts: tf.Tensor

    def sums(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return the sum of the losses, the number of right words and that of all, float32 []."""
        words = tf.cast(tf.size(self.losses), tf.float32)
        return tf.reduce_sum(self.losses), tf.reduce_sum(self.right), words


def force_captions(
    decoder: Decoder,
    features: tf.Tensor,
    inputs: tf.Tensor,
    targets: tf.Tensor,
    label_smoothing: float = 0.0,
    training: bool = False,
) -> Forced:
    """Teacher forcing: the cross-entropy of every next word of every caption.

    Args:
        decoder: predicts the next word.
        features: float [B, h, w, C].
        inputs: int32 [B, K, T], captions that begin with <start>.
        targets: int32 [B, K, T], the word after each input; <pad> does not count.
        label_smoothing: share of a target's probability that is spread over the vocabulary.
        training: whether dropout is on.
    """
    outputs = decoder(features, inputs, training=training)
    # Half of a padded batch is padding: leave it out before the product with the vocabulary.
    counts = targets != PAD_ID
    words = tf.boolean_mask(targets, counts)
    logits = decoder.logits(filled_up(tf.boolean_mask(outputs, counts)))  # [W and more, V]
    losses, right = cross_entropy(logits, filled_up(words), label_smoothing)
    size = tf.size(words)
    return Forced(losses[:size], right[:size], counts)


def caption_log_probs(
    decoder: Decoder, features: tf.Tensor, inputs: tf.Tensor, targets: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return what the decoder thinks of whole captions; arguments as of `force_captions`.

    Returns:
        (natural logarithms of the captions' probabilities, float [B, K],
        numbers of their words, <end> included, float [B, K]).
    """
    log_probs = word_log_probs(decoder, features, inputs, targets)
    counts = tf.cast(targets != PAD_ID, tf.float32)
    return tf.reduce_sum(log_probs, axis=-1), tf.reduce_sum(counts, axis=-1)


def word_log_probs(
    decoder: Decoder, features: tf.Tensor, inputs: tf.Tensor, targets: tf.Tensor
) -> tf.Tensor:
    """Return the natural logarithm of each target's probability, float32 [B, K, T], 0 for <pad>.

    Arguments as of `force_captions`.
    """
    log_probs = tf.nn.log_softmax(decoder.logits(decoder(features, inputs)))
    chosen = tf.gather(log_probs, targets, batch_dims=3)
    return tf.where(targets == PAD_ID, 0.0, chosen)
