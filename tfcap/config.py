"""What a training run is made of: frozen specs, and the `config.json` that holds them."""

import dataclasses
import json
from pathlib import Path

from records.captions import CaptionSpec
from records.errors import UserError
from records.files import write_whole
from records.pictures import PictureSpec
from records.specs import Spec
from tfcap.decoders.lstm_attention import LSTMAttentionSpec

SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class ModelSpec(Spec):
    """The captioner's architecture.

    Attributes:
        encoder: a key of `tfcap.encoders.ENCODERS`.
        encoder_weights: "imagenet", "none" or a path.
        decoder: sizes of the decoder.
        max_words: longest caption in words, in training and in search.
    """

    encoder: str
    encoder_weights: str
    decoder: LSTMAttentionSpec
    max_words: int = 20

    def __post_init__(self):
        if self.max_words < 1:
            raise ValueError(f"max_words must be at least 1, got {self.max_words}")

    @classmethod
    def from_dict(cls, fields):
        return cls(**{**fields, "decoder": LSTMAttentionSpec.from_dict(fields["decoder"])})


@dataclasses.dataclass(frozen=True)
class TrainingSpec(Spec):
    """How a captioner is trained.

    Attributes:
        epochs: passes over the training split, at most.
        batch_size: pictures a step; each brings all of its captions.
        learning_rate: peak of the schedule: a linear rise over `warmup_epochs`, then a cosine
            down to nothing at the last epoch.
        warmup_epochs: may be a fraction.
        weight_decay: of AdamW, decoupled.
        label_smoothing: share of the target's probability spread over the vocabulary.
        clip_norm: largest norm of the whole gradient.
        patience: epochs without a better validation CIDEr before training stops.
        flip: whether pictures are mirrored at random.
        seed: of weights, order, flips and dropout.
    """

    epochs: int = 13
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup_epochs: float = 0.5
    weight_decay: float = 1e-4
    label_smoothing: float = 0.1
    clip_norm: float = 5.0
    patience: int = 5
    flip: bool = True
    seed: int = 1

    def __post_init__(self):
        for name in ("epochs", "batch_size", "learning_rate", "clip_norm", "patience"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("warmup_epochs", "weight_decay", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must lie in [0, 1), got {self.label_smoothing}")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything needed to repeat a run.

    Attributes:
        dataset: directory of the records.
        fingerprint: of that dataset's manifest.
        picture: the preprocessing that the records were made with.
        caption: the cleaning that the records were made with.
        model: the architecture.
        training: the recipe.
    """

    dataset: str
    fingerprint: str
    picture: PictureSpec
    caption: CaptionSpec
    model: ModelSpec
    training: TrainingSpec

    def save(self, path: Path) -> None:
        """Write `config.json`."""
        content = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}
        write_whole(path, json.dumps(content, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "RunConfig":
        """Read `config.json`.

        Raises:
            UserError: the file is missing, malformed, or of another schema version.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
            version = content.pop("schema_version")
        except FileNotFoundError:
            raise UserError(
                f"{path} does not exist: {path.parent} is no run of `tfcap train`"
            ) from None
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise UserError(
                f"{path} is no run configuration ({error}): train the run anew"
            ) from None
        if version != SCHEMA_VERSION:
            raise UserError(
                f"{path} has schema version {version}, this tfcap reads {SCHEMA_VERSION}: "
                "use the tfcap that wrote it, or train the run anew"
            )
        specs = {
            "picture": PictureSpec,
            "caption": CaptionSpec,
            "model": ModelSpec,
            "training": TrainingSpec,
        }
        try:
            parsed = {name: spec.from_dict(content.pop(name)) for name, spec in specs.items()}
            return cls(**parsed, **content)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} is no run configuration ({error}): train the run anew"
            ) from None

    def differences(self, other: "RunConfig") -> list[str]:
        """Return "name: mine / theirs" for each value that differs."""
        mine, theirs = _flat(dataclasses.asdict(self)), _flat(dataclasses.asdict(other))
        names = sorted(set(mine) | set(theirs))
        return [
            f"{name}: {mine.get(name)!r} / {theirs.get(name)!r}"
            for name in names
            if mine.get(name) != theirs.get(name)
        ]


def _flat(tree: dict, prefix: str = "") -> dict:
    flat = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        flat.update(_flat(value, f"{path}.") if isinstance(value, dict) else {path: value})
    return flat
