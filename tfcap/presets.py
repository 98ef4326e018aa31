"""Whole recipes by name: those of the reference projects, and our own.

Where a project trains on one caption, or one prefix of one, at a time, a step here takes 32
pictures with all their captions; its epochs, rates, sizes and layers are kept.
"""

import dataclasses

from tfcap.config import ModelSpec, OptimizerSpec, TrainingSpec
from tfcap.decoders import (
    BahdanauSpec,
    LSTMAttentionSpec,
    MergeSpec,
    RNNSpec,
    TransformerSpec,
)


@dataclasses.dataclass(frozen=True)
class Preset:
    """A recipe.

    Attributes:
        model: what is trained.
        training: how.
        wants_vectors: whether it begins with the word vectors of `--glove`.
    """

    model: ModelSpec
    training: TrainingSpec
    wants_vectors: bool = False


# As the notebooks have it: plain Adam, and a fall where validation stalls.
_PLAIN = OptimizerSpec(schedule="plateau", weight_decay=0.0, warmup_epochs=0.0)
_NOTEBOOK = TrainingSpec(label_smoothing=0.0, optimizer=_PLAIN)
_MERGE_GLOVE = MergeSpec(embedding=50)


def _notebook(encoder: str, decoder, epochs: int, **model) -> Preset:
    return Preset(
        ModelSpec(encoder, "imagenet", decoder, **model),
        dataclasses.replace(_NOTEBOOK, epochs=epochs),
    )


# Of a run without a preset.
DEFAULT = Preset(ModelSpec("mobilenet_v3_small", "imagenet", LSTMAttentionSpec()), TrainingSpec())
PRESETS = {
    "mobilenet-rnn": Preset(
        ModelSpec(
            "mobilenet_v3_small",
            "imagenet",
            RNNSpec(cell="simple", units=256, dropout=0.3),
            pooled=True,
        ),
        dataclasses.replace(
            _NOTEBOOK, epochs=35, optimizer=dataclasses.replace(_PLAIN, learning_rate=5e-4)
        ),
    ),
    "resnet-glove-lstm": dataclasses.replace(
        _notebook("resnet50", _MERGE_GLOVE, 20, pooled=True), wants_vectors=True
    ),
    "inception-glove-lstm": dataclasses.replace(
        _notebook("inception_v3", _MERGE_GLOVE, 20, pooled=True), wants_vectors=True
    ),
    "resnet-lstm-similarity": _notebook("resnet50", MergeSpec(), 20, pooled=True),
    "inception-attention-beam": _notebook("inception_v3", BahdanauSpec(), 20),
    "tutorial-transformer": _notebook("mobilenet_v3_small", TransformerSpec(), 13),
    "best": Preset(
        ModelSpec("mobilenet_v3_large_minimalistic", "imagenet", LSTMAttentionSpec()),
        TrainingSpec(average=0.998),
    ),
    # Half as wide, so that a word reads 5 MB of weights instead of 10: less is dropped, and learnt
    # faster.
    "light": Preset(
        ModelSpec(
            "mobilenet_v3_large_minimalistic",
            "imagenet",
            LSTMAttentionSpec(units=256, dropout=0.3, embedding_dropout=0.2),
        ),
        TrainingSpec(average=0.998, optimizer=OptimizerSpec(learning_rate=2e-3)),
    ),
}
