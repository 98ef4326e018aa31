"""`tfcap evaluate --html`: gathers what the evaluation report shows."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tfcap.cli.captioning import load_runs
from tfcap.cli.options import search_spec

if TYPE_CHECKING:
    from records.captions import CaptionSpec
    from records.pictures import PictureSpec
    from records.specs import Spec
    from records.vocabulary import Vocabulary
    from tfcap.metrics.evaluation import Evaluation as Measured
    from tfcap.reports.evaluation_page import Attention, TrainingCourse

Look = Callable[[Mapping[str, bytes]], "Attention"]  # at JPEGs by key


class Subject(NamedTuple):
    """What was evaluated; attributes as of `Evaluation`, and `look` of `make_evaluation_page`."""

    facts: dict[str, str]
    picture: "PictureSpec"
    cleaning: "CaptionSpec"
    look: Look
    vocabulary: "Vocabulary | None"
    training: "TrainingCourse | None"


def check_html(path: Path) -> None:
    """Find before all work that a report can be made and written.

    Raises:
        UserError: a package is missing, or the directory.
    """
    from records.errors import UserError

    try:
        from tfcap.reports import page, plots  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(f"--html needs {error.name}: pip install 'tfcap[report]'") from None
    if path.is_dir() or not path.parent.is_dir():
        raise UserError(f"--html cannot write {path}: name a file in a directory that exists")


def write_html(
    arguments: argparse.Namespace,
    references: Mapping[str, Sequence[str]],
    measured: "Measured",
) -> None:
    """Write the evaluation report.

    Args:
        arguments: of `tfcap evaluate`.
        references: the raw captions of all pictures.
        measured: what was generated for those that could be read, and its scores.
    """
    from records.files import write_whole
    from tfcap.reports.evaluation_page import Evaluation, Metric, make_evaluation_page

    captions = measured.predictions
    find = _of_run if arguments.run else _of_export
    subject = find(arguments, captions)
    facts = subject.facts | _data_facts(arguments) | {"Pictures": f"{len(captions):,}"}
    if left_out := len(references) - len(captions):
        facts["Left out"] = f"{left_out:,}"
    evaluation = Evaluation(
        facts=facts,
        metrics=[
            Metric(name, each.value, (each.low, each.high))
            for name, each in measured.scores.items()
        ],
        references=references,
        captions=captions,
        picture=subject.picture,
        cleaning=subject.cleaning,
        vocabulary=subject.vocabulary,
        training=subject.training,
    )

    def read(keys: Sequence[str]) -> dict[str, bytes]:
        return _read_pictures(arguments, keys, subject.picture)

    write_whole(arguments.html, make_evaluation_page(evaluation, read, subject.look))
    print(f"wrote {arguments.html}")


def _of_run(arguments: argparse.Namespace, captions: Mapping[str, str]) -> Subject:
    from tfcap import runs
    from tfcap.config import RunConfig
    from tfcap.reports.attention import attention_of
    from tfcap.reports.evaluation_page import Attention, TrainingCourse
    from tfcap.training.schedule import best_epoch, training_phases

    config = RunConfig.load(arguments.run / runs.CONFIG)
    captioner = load_runs(arguments.run, arguments.ensemble, arguments.epoch)
    history = runs.read_history(arguments.run)
    runs_together = [arguments.run, *arguments.ensemble]
    training, epochs = None, {}
    if history:  # the mean of runs has none
        epoch = arguments.epoch or best_epoch(history) + 1
        epochs = {"Epoch": str(epoch)}
        training = TrainingCourse(history, training_phases(history, config.training), epoch)

    def look(pictures: Mapping[str, bytes]) -> "Attention":
        if config.model.pooled:
            return Attention({}, "the decoder gets the picture as one vector, without places")
        said = [captions[key] for key in pictures]
        found = attention_of(captioner, list(pictures.values()), said)
        if found is None:
            return Attention({}, f"the decoder {config.model.decoder.kind} has no attention")
        return Attention(dict(zip(pictures, found, strict=True)))

    return Subject(
        facts={"Run": ", ".join(map(str, runs_together))}
        | epochs
        | _model_facts(config.model.to_dict(), config.picture, search_spec(arguments))
        | {"Trained on": f"dataset {config.fingerprint}"},
        picture=config.picture,
        cleaning=config.caption,
        look=look,
        vocabulary=captioner.vocabulary,
        training=training,
    )


def _of_export(arguments: argparse.Namespace, captions: Mapping[str, str]) -> Subject:
    from records.manifest import VOCABULARY
    from records.vocabulary import Vocabulary
    from tfcap.export import load_export
    from tfcap.reports.attention import explained
    from tfcap.reports.evaluation_page import Attention

    export = load_export(arguments.model)
    card = export.card

    def look(pictures: Mapping[str, bytes]) -> "Attention":
        explain = export.signatures.get("explain")
        if explain is None:
            return Attention({}, "the export has no signature `explain`: export the run again")
        found = explained(explain, list(pictures.values()))
        if found is None:
            return Attention({}, f"the decoder {card['model']['decoder']['kind']} has no attention")
        return Attention(dict(zip(pictures, found, strict=True)))

    vocabulary = arguments.dataset and Vocabulary.read(arguments.dataset / VOCABULARY)
    return Subject(
        facts={"Export": str(export.path)}
        | _model_facts(card["model"], export.picture, export.search)
        | {"Trained on": f"dataset {card['dataset_fingerprint']}"},
        picture=export.picture,
        cleaning=export.caption,
        look=look,
        vocabulary=vocabulary,
        training=None,
    )


def _model_facts(model: Mapping, picture: "PictureSpec", search: "Spec") -> dict[str, str]:
    pooled = ", pooled" if model.get("pooled") else ""
    chosen = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in search.to_dict().items()
        if value != getattr(type(search)(), name)
    ]
    return {
        "Encoder": f"{model['encoder']}, {picture.size}×{picture.size} pixels{pooled}",
        "Decoder": model["decoder"]["kind"],
        "Search": ", ".join(chosen) or "greedy",
    }


def _data_facts(arguments: argparse.Namespace) -> dict[str, str]:
    from records.manifest import load_manifest

    if arguments.dataset:
        manifest = load_manifest(arguments.dataset)
        split = f"{manifest.name}, split {arguments.split}"
        return {"Dataset": split, "Fingerprint": manifest.fingerprint}
    chosen = {"Names": str(arguments.ids)} if arguments.ids else {}
    return {"Images": str(arguments.images), "Captions": str(arguments.captions)} | chosen


def _read_pictures(
    arguments: argparse.Namespace, keys: Sequence[str], picture: "PictureSpec"
) -> dict[str, bytes]:
    """Return the JPEGs of pictures by key, as the model got them."""
    if arguments.dataset:
        from records.manifest import load_manifest
        from tfcap.reports.thumbnails import find_pictures

        records = find_pictures(arguments.dataset, load_manifest(arguments.dataset), keys)
        return {key: record.encoded for key, record in records.items()}
    from tfcap.cli.pictures import ready_pictures

    return dict(ready_pictures(((key, arguments.images / key) for key in keys), picture))
