"""What a training run is made of: frozen specs, and the `config.json` that holds them.

What decides the numbers is compared when a run is taken up. What does not (where the data lie,
which device does what) is recorded beside it, and may change from one start to the next.
"""

import dataclasses
import json
from pathlib import Path

from records.captions import CaptionSpec
from records.errors import UserError
from records.files import write_whole
from records.pictures import PictureSpec
from records.specs import Spec
from tfcap.augment import AugmentSpec
from tfcap.decoders import DecoderSpec, decoder_spec_from_dict

SCHEMA_VERSION = 2
SCHEDULES = ("cosine", "plateau")
PRECISIONS = ("float32", "bfloat16", "float16")
OBJECTIVES = ("cross_entropy", "distillation", "self_critical")


def _check_above(spec: Spec, *names: str) -> None:
    for name in names:
        if not getattr(spec, name) > 0:
            raise ValueError(f"{name} must be above 0, got {getattr(spec, name)}")


def _check_at_least_0(spec: Spec, *names: str) -> None:
    for name in names:
        if not getattr(spec, name) >= 0:
            raise ValueError(f"{name} must be at least 0, got {getattr(spec, name)}")


def _check_choice(spec: Spec, name: str, choices: tuple[str, ...]) -> None:
    if getattr(spec, name) not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(spec, name)!r}")


@dataclasses.dataclass(frozen=True)
class ModelSpec(Spec):
    """The captioner's architecture.

    Attributes:
        encoder: a key of `tfcap.encoders.ENCODERS`.
        encoder_weights: "imagenet", "none" or a path.
        decoder: sizes of the decoder.
        decoder_weights: what training begins with: "none" (random) or a path.
        word_vectors: what the decoder's begin with: "none" (random) or the path of a GloVe file.
        max_words: longest caption in words, in training and in search.
        pooled: whether the decoder gets the mean of the encoder's map, as a map of one cell.
    """

    encoder: str
    encoder_weights: str
    decoder: DecoderSpec
    decoder_weights: str = "none"
    word_vectors: str = "none"
    max_words: int = 20
    pooled: bool = False

    def __post_init__(self):
        if self.max_words < 1:
            raise ValueError(f"max_words must be at least 1, got {self.max_words}")
        limit = self.decoder.max_length
        if limit is not None and self.max_words >= limit:
            raise ValueError(
                f"max_words must be below the decoder's max_length {limit}, got {self.max_words}"
            )

    @classmethod
    def from_dict(cls, fields):
        return cls(**{**fields, "decoder": decoder_spec_from_dict(fields["decoder"])})


@dataclasses.dataclass(frozen=True)
class OptimizerSpec(Spec):
    """AdamW, and the course of its learning rate.

    Attributes:
        schedule: "cosine", down to nothing at the last epoch, or "plateau", constant until the
            validation CIDEr stops rising; both after a linear rise.
        learning_rate: at the end of the rise.
        warmup_epochs: of the rise; may be a fraction.
        plateau_factor: what the rate is multiplied with on a plateau.
        plateau_patience: epochs without a better CIDEr that make a plateau.
        weight_decay: decoupled (Loshchilov & Hutter 2019).
        clip_norm: largest norm of the whole gradient, that of all devices together.
    """

    schedule: str = "cosine"
    learning_rate: float = 1e-3
    warmup_epochs: float = 0.5
    plateau_factor: float = 0.5
    plateau_patience: int = 2
    weight_decay: float = 1e-4
    clip_norm: float = 5.0

    def __post_init__(self):
        _check_choice(self, "schedule", SCHEDULES)
        _check_above(self, "learning_rate", "clip_norm", "plateau_patience")
        _check_at_least_0(self, "warmup_epochs", "weight_decay")
        if not 0 < self.plateau_factor < 1:
            raise ValueError(f"plateau_factor must lie in (0, 1), got {self.plateau_factor}")


@dataclasses.dataclass(frozen=True)
class FineTuneSpec(Spec):
    """Training of the encoder together with the decoder, once the decoder has settled.

    Attributes:
        epochs: the last ones of the training; 0 leaves the encoder as it is.
        learning_rate: of the encoder; falls along a cosine if the schedule is one.
        blocks: of the encoder that are trained, the last ones; 0 is all. What a block is, says
            `tfcap.encoders.blocks_of`.
    """

    epochs: int = 0
    learning_rate: float = 1e-5
    blocks: int = 0

    def __post_init__(self):
        _check_above(self, "learning_rate")
        _check_at_least_0(self, "epochs", "blocks")
        if self.blocks and not self.epochs:
            raise ValueError(f"blocks is {self.blocks}, and there are no epochs of fine-tuning")


@dataclasses.dataclass(frozen=True)
class TrainingSpec(Spec):
    """How a captioner is trained.

    Attributes:
        objective: "cross_entropy"; "distillation": with what `ExecutionSpec.teachers` think of the
            next word; or "self_critical": the CIDEr-D of drawn captions.
        samples: captions drawn of each picture, by the last.
        epochs: passes over the training split, at most, those of fine-tuning included.
        batch_size: pictures a step, on all devices together; each brings all of its captions.
        label_smoothing: share of the target's probability spread over the vocabulary.
        patience: epochs without a better validation CIDEr before training stops, or goes on to
            fine-tuning.
        average: decay of the moving average of the weights that is evaluated and kept in their
            place; 0 is none.
        precision: what the layers compute in; weights and the loss are float32 always.
        window: 0 shuffles all records together; above, see `tfcap.data.Order`.
        views: crops and colours of each picture that are drawn once and stored as features; 0
            draws new ones in every epoch. Flips alone need none: both views can be stored.
        seed: of weights, order, augmentation and dropout.
        optimizer: see there.
        augment: how pictures vary.
        fine_tune: see there.
    """

    objective: str = "cross_entropy"
    samples: int = 5
    epochs: int = 13
    batch_size: int = 32
    label_smoothing: float = 0.1
    patience: int = 5
    average: float = 0.0
    precision: str = "float32"
    window: int = 0
    views: int = 0
    seed: int = 1
    optimizer: OptimizerSpec = OptimizerSpec()
    augment: AugmentSpec = dataclasses.field(default_factory=AugmentSpec)
    fine_tune: FineTuneSpec = FineTuneSpec()

    def __post_init__(self):
        _check_above(self, "epochs", "batch_size", "patience")
        _check_at_least_0(self, "window", "views", "seed")
        _check_choice(self, "precision", PRECISIONS)
        _check_choice(self, "objective", OBJECTIVES)
        if self.samples < 2:
            raise ValueError(f"samples must be at least 2, to be compared, got {self.samples}")
        for name in ("label_smoothing", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        if self.views and not (self.augment.crop or self.augment.colour):
            raise ValueError(f"views are of crops or colours: got {self.views}, and none of them")
        if self.views and self.fine_tune.epochs:
            raise ValueError(f"views are of an encoder that stays as it is: got {self.views}")
        if self.fine_tune.epochs > self.epochs:
            raise ValueError(
                f"epochs, {self.epochs}, count those of fine-tuning, which are to be "
                f"{self.fine_tune.epochs}: raise the one or lower the other"
            )
        if self.fine_tune.epochs and self.precision == "float16":
            raise ValueError("fine-tuning takes precision float32 or bfloat16, got float16")

    @classmethod
    def from_dict(cls, fields):
        nested = {"optimizer": OptimizerSpec, "augment": AugmentSpec, "fine_tune": FineTuneSpec}
        return cls(**{**fields, **{n: spec.from_dict(fields[n]) for n, spec in nested.items()}})


@dataclasses.dataclass(frozen=True)
class ExecutionSpec(Spec):
    """How a run is carried out: what may change when it is taken up.

    Attributes:
        encoder_on: one of `tfcap.features.placement.PLACEMENTS`.
        devices: that share each batch; 0 is all GPUs, or the CPU where there is none.
        save_every: steps between two checkpoints.
        skip_corrupt: whether damaged records are stepped over and counted.
        keep_epochs: whether the weights of every epoch are kept, beside the best's.
        cache: directory of stored features; "" is one beside the dataset's.
        teachers: directories of the runs that a distillation learns from.
        data_service: host:port of the tf.data service that decodes pictures; "" is none.
    """

    encoder_on: str = "auto"
    devices: int = 0
    save_every: int = 100
    skip_corrupt: bool = False
    keep_epochs: bool = False
    cache: str = ""
    teachers: tuple[str, ...] = ()
    data_service: str = ""

    def __post_init__(self):
        _check_above(self, "save_every")
        _check_at_least_0(self, "devices")
        if self.data_service and self.skip_corrupt:
            raise ValueError(
                "skip_corrupt counts here what a data_service reads elsewhere: one of both"
            )

    @classmethod
    def from_dict(cls, fields):
        return cls(**{**fields, "teachers": tuple(fields.get("teachers", ()))})


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything needed to repeat a run.

    Attributes:
        fingerprint: of the dataset's manifest.
        encoder_fingerprint: SHA-256 of the encoder's weights file, or what
            `ModelSpec.encoder_weights` says if that is no path.
        decoder_fingerprint: likewise; so is `vectors_fingerprint`, of the word vectors.
        teacher_fingerprint: SHA-256 of the decoders' weights files of all teachers, or "none".
        picture: the preprocessing that the records were made with.
        caption: the cleaning that the records were made with.
        model: the architecture.
        training: the recipe.
        dataset: directory of the records.
        execution: how it is carried out.
    """

    fingerprint: str
    encoder_fingerprint: str
    picture: PictureSpec
    caption: CaptionSpec
    model: ModelSpec
    training: TrainingSpec
    dataset: str
    execution: ExecutionSpec = ExecutionSpec()
    decoder_fingerprint: str = "none"
    vectors_fingerprint: str = "none"
    teacher_fingerprint: str = "none"

    def __post_init__(self):
        if (self.training.objective == "distillation") != bool(self.execution.teachers):
            raise ValueError(
                f"objective {self.training.objective} and {len(self.execution.teachers)} teachers: "
                "teachers are of a distillation, which wants one or more"
            )

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
            "execution": ExecutionSpec,
        }
        try:
            parsed = {name: spec.from_dict(content.pop(name)) for name, spec in specs.items()}
            return cls(**parsed, **content)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} is no run configuration ({error}): train the run anew"
            ) from None

    def differences(self, other: "RunConfig") -> list[str]:
        """Return "name: mine / theirs" for each value that decides the numbers and differs."""
        mine, theirs = self._deciding(), other._deciding()
        names = sorted(set(mine) | set(theirs))
        return [
            f"{name}: {mine.get(name)!r} / {theirs.get(name)!r}"
            for name in names
            if mine.get(name) != theirs.get(name)
        ]

    def _deciding(self) -> dict:
        content = dataclasses.asdict(self)
        del content["dataset"], content["execution"]  # the first has its fingerprint
        for name in ("encoder_weights", "decoder_weights", "word_vectors"):
            del content["model"][name]  # so have these
        return _flat(content)


def _flat(tree: dict, prefix: str = "") -> dict:
    flat = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        flat.update(_flat(value, f"{path}.") if isinstance(value, dict) else {path: value})
    return flat
