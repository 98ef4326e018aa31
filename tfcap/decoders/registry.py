"""Decoders by name."""

from tfcap.decoders.adaptive import AdaptiveDecoder, AdaptiveSpec
from tfcap.decoders.bahdanau import BahdanauDecoder, BahdanauSpec
from tfcap.decoders.base import Decoder, DecoderSpec
from tfcap.decoders.lstm_attention import LSTMAttentionDecoder, LSTMAttentionSpec
from tfcap.decoders.merge import MergeDecoder, MergeSpec
from tfcap.decoders.rnn import RNNDecoder, RNNSpec
from tfcap.decoders.transformer import TransformerDecoder, TransformerSpec

DECODERS: dict[str, tuple[type[DecoderSpec], type[Decoder]]] = {
    "lstm_attention": (LSTMAttentionSpec, LSTMAttentionDecoder),
    "merge": (MergeSpec, MergeDecoder),
    "rnn": (RNNSpec, RNNDecoder),
    "bahdanau": (BahdanauSpec, BahdanauDecoder),
    "adaptive": (AdaptiveSpec, AdaptiveDecoder),
    "transformer": (TransformerSpec, TransformerDecoder),
}


def decoder_spec_from_dict(fields: dict) -> DecoderSpec:
    """Rebuild any decoder's spec from its `to_dict`.

    Raises:
        KeyError: no kind is named.
        ValueError: a kind that is not in the registry, or sizes that make no sense.
        TypeError: a field that the kind does not have.
    """
    kind = fields["kind"]
    if kind not in DECODERS:
        raise ValueError(f"decoder {kind!r} is not one of {', '.join(DECODERS)}")
    return DECODERS[kind][0].from_dict(fields)


def build_decoder(spec: DecoderSpec, vocabulary_size: int) -> Decoder:
    """Make a decoder; its `build` then draws its weights at random.

    Args:
        spec: its kind and sizes.
        vocabulary_size: V, special tokens included.
    """
    return DECODERS[spec.kind][1](spec, vocabulary_size, name="decoder")
