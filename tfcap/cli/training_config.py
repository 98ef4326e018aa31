"""What the flags of `tfcap train` ask for: the configuration of a run."""

import argparse
import dataclasses
from pathlib import Path

# What gives all settings at once, by its flag: at most one of them.
_BASES = {"--config": "config", "--from": "begin", "--preset": "preset"}
# Flags by the spec that they change; where the names differ, flags by field.
_MODEL = ("encoder", "max_words", "pooled")
_DECODER = (
    *("cell", "units", "embedding", "attention", "layers", "heads"),
    *("dropout", "embedding_dropout", "gate"),
)
_TRAINING = (
    *("objective", "samples", "epochs", "batch_size", "label_smoothing", "patience", "average"),
    *("precision", "views", "seed"),
)
_OPTIMIZER = (
    *("schedule", "learning_rate", "warmup_epochs", "plateau_factor", "plateau_patience"),
    *("weight_decay", "clip_norm"),
)
_FINE_TUNE = {
    "epochs": "fine_tune_epochs",
    "learning_rate": "fine_tune_rate",
    "blocks": "fine_tune_blocks",
}
_AUGMENT = ("flip", "crop", "colour")
_EXECUTION = (
    *("encoder_on", "devices", "save_every", "skip_corrupt", "keep_epochs", "data_service"),
)


def load_config(arguments: argparse.Namespace):
    """Return the run's `RunConfig` and the `Manifest` of its dataset.

    Args:
        arguments: of `tfcap train`.

    Raises:
        UserError: they contradict themselves, or what they name.
    """
    from records.errors import UserError
    from records.manifest import load_manifest
    from tfcap.config import RunConfig

    given = [f for f, name in _BASES.items() if getattr(arguments, name)]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} each give all settings: give one of them")
    repeated = RunConfig.load(arguments.config) if arguments.config else None
    begun = _begun(arguments.begin) if arguments.begin else None
    earlier = repeated or begun
    if not (arguments.dataset or earlier):
        raise UserError("no dataset: give --dataset, --from a run, or --config of one to repeat")
    dataset = arguments.dataset or Path(earlier.dataset)
    manifest = load_manifest(dataset)
    if begun:
        _check_vocabulary(arguments.begin, dataset)
    config = _changed(earlier or _default(manifest, arguments), arguments)
    place = {"dataset": str(dataset.resolve()), "fingerprint": manifest.fingerprint}
    config = dataclasses.replace(config, **place)
    if repeated and (differences := repeated.differences(config)):
        raise UserError(
            f"{arguments.config} says otherwise ({'; '.join(differences)}, there / here): "
            "leave out those flags, or --config; a fingerprint tells of another --dataset"
        )
    return config, manifest


def _begun(run: Path):
    """Return the configuration of a run, with the weights of its best epoch to begin with."""
    from records.errors import UserError
    from tfcap import runs
    from tfcap.config import RunConfig

    config = RunConfig.load(run / runs.CONFIG)
    encoder, decoder = ((run / name).resolve() for name in (runs.ENCODER, runs.DECODER))
    if not decoder.exists():
        raise UserError(f"--from {run} has no trained epoch yet: run `tfcap train` on it first")
    weights = {"encoder_weights": str(encoder), "decoder_weights": str(decoder)}
    model = dataclasses.replace(config.model, **weights, word_vectors="none")
    return dataclasses.replace(config, model=model)


def _check_vocabulary(run: Path, dataset: Path) -> None:
    from records.errors import UserError
    from records.vocabulary import Vocabulary
    from tfcap import runs

    if Vocabulary.read(run / runs.VOCABULARY) != Vocabulary.read(dataset / runs.VOCABULARY):
        raise UserError(
            f"{dataset} has another vocabulary than --from {run}: give the dataset of that run"
        )


def _default(manifest, arguments: argparse.Namespace):
    """Return the configuration of a preset, or of no flags at all."""
    from records.errors import UserError
    from tfcap.config import RunConfig
    from tfcap.presets import DEFAULT, PRESETS

    if arguments.preset and arguments.preset not in PRESETS:
        raise UserError(f"unknown preset {arguments.preset!r}: choose one of {', '.join(PRESETS)}")
    preset = PRESETS[arguments.preset] if arguments.preset else DEFAULT
    if preset.wants_vectors and not arguments.glove:
        raise UserError(f"--preset {arguments.preset} wants word vectors: give --glove FILE")
    return RunConfig(
        fingerprint=manifest.fingerprint,
        encoder_fingerprint="imagenet",
        picture=manifest.picture,
        caption=manifest.caption,
        model=preset.model,
        training=preset.training,
        dataset="",
    )


def _changed(config, arguments: argparse.Namespace):
    """Return a configuration with the flags that were given."""
    from records.errors import UserError
    from tfcap import runs
    from tfcap.runs import weights_fingerprint

    def given(spec, *names, renamed=None, **parts):
        flags = {**{name: name for name in names}, **(renamed or {})}
        values = {name: getattr(arguments, flag) for name, flag in flags.items()}
        given = {name: value for name, value in values.items() if value is not None}
        return dataclasses.replace(spec, **given, **parts)

    training, weights = config.training, _weights(arguments) or config.model.encoder_weights
    vectors = str(arguments.glove.resolve()) if arguments.glove else config.model.word_vectors
    try:
        parts = {
            "optimizer": given(training.optimizer, *_OPTIMIZER),
            "augment": given(training.augment, *_AUGMENT),
            "fine_tune": given(training.fine_tune, renamed=_FINE_TUNE),
        }
        decoder = given(_decoder(config, arguments), *_DECODER)
        parts_of_model = {"decoder": decoder, "encoder_weights": weights, "word_vectors": vectors}
        model = given(config.model, *_MODEL, **parts_of_model)
        training = given(training, *_TRAINING, renamed={"window": "order_window"}, **parts)
        execution = given(config.execution, *_EXECUTION, **_places(arguments))
        if training.objective != "distillation" and not arguments.teacher:
            execution = dataclasses.replace(execution, teachers=())  # of the run it begins with
    except ValueError as error:
        raise UserError(str(error)) from None
    except TypeError as error:  # of `replace`, for a field that the decoder does not have
        raise UserError(f"the decoder has no such size ({error}): leave the flag out") from None
    decoders = [str(Path(run) / runs.DECODER) for run in execution.teachers]
    try:
        return dataclasses.replace(
            config,
            model=model,
            training=training,
            execution=execution,
            encoder_fingerprint=weights_fingerprint(weights),
            decoder_fingerprint=weights_fingerprint(model.decoder_weights),
            vectors_fingerprint=weights_fingerprint(model.word_vectors),
            teacher_fingerprint=weights_fingerprint(*decoders),
        )
    except ValueError as error:
        raise UserError(str(error)) from None


def _decoder(config, arguments: argparse.Namespace):
    """Return the decoder's spec before its sizes: the config's, or the defaults of another."""
    from tfcap.decoders import DECODERS

    kind = arguments.decoder or config.model.decoder.kind
    if kind not in DECODERS:
        raise ValueError(f"unknown decoder {kind!r}: choose one of {', '.join(DECODERS)}")
    return config.model.decoder if kind == config.model.decoder.kind else DECODERS[kind][0]()


def _weights(arguments: argparse.Namespace) -> str | None:
    given = arguments.encoder_weights
    return given if given in (None, "imagenet", "none") else str(Path(given).resolve())


def _places(arguments: argparse.Namespace) -> dict:
    """Return the directories that were given, by the fields of `ExecutionSpec`."""
    places = {}
    if arguments.feature_cache:
        places["cache"] = str(arguments.feature_cache.resolve())
    if arguments.teacher:
        places["teachers"] = tuple(str(run.resolve()) for run in arguments.teacher)
    return places
