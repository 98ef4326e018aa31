"""What `tfcap evaluate` and `tfcap score` have in common: what is measured, and where it goes."""

import argparse
from pathlib import Path


def add_scoring(parser: argparse.ArgumentParser) -> None:
    """Add what the functions here read."""
    group = parser.add_argument_group("scores")
    add = group.add_argument
    add("--human", action="store_true", help="score each reference against the others too")
    add(
        "--trained-on",
        type=Path,
        metavar="DATASET",
        help="records whose training split tells which captions are novel, and how much of the "
        "vocabulary is said",
    )
    add(
        "--similarity",
        type=Path,
        metavar="DIR",
        help="a sentence-transformers model on the disk, to compare meanings with",
    )
    add("--json", type=Path, metavar="FILE", help="write everything there, each picture included")


def measures(arguments: argparse.Namespace, caption):
    """Return the `Measures` that the flags ask for.

    Args:
        arguments: of `add_scoring`.
        caption: CaptionSpec by which training captions are cleaned, as the predictions will be.

    Raises:
        UserError: a directory is not what it should be.
    """
    from tfcap.metrics.evaluation import Measures
    from tfcap.metrics.meteor import load_lexicon
    from tfcap.metrics.similarity import load_sentence_encoder

    return Measures(
        lexicon=load_lexicon(),
        training=arguments.trained_on and _training(arguments.trained_on, caption),
        embed=arguments.similarity and load_sentence_encoder(arguments.similarity),
        human=arguments.human,
    )


def origin(arguments: argparse.Namespace, dataset: str | None = None, search: str | None = None):
    """Return the `Origin` of captions, with the sentence model that the flags name."""
    from tfcap.metrics.signature import Origin

    model = arguments.similarity and arguments.similarity.resolve().name
    return Origin(dataset, search, model)


def publish(arguments: argparse.Namespace, evaluation, differences=None) -> None:
    """Print an evaluation, and write it to `--json`.

    Args:
        arguments: of `add_scoring`.
        evaluation: an `Evaluation`.
        differences: from other captions, an `Estimate` by metric.
    """
    import dataclasses
    import json

    from records.files import write_whole
    from tfcap.metrics.table import format_differences, format_evaluation

    print(format_evaluation(evaluation))
    content = evaluation.to_dict()
    if differences:
        print(f"\n{format_differences(differences)}")
        content["differences"] = {
            name: dataclasses.asdict(each) for name, each in differences.items()
        }
    if arguments.json:
        write_whole(arguments.json, json.dumps(content, indent=1) + "\n")
        print(f"everything in {arguments.json}")


def _training(dataset: Path, caption):
    from records.captions import clean_caption
    from records.manifest import VOCABULARY, load_manifest
    from records.reading import read_pictures
    from records.vocabulary import Vocabulary
    from tfcap.metrics.diversity import Training

    shards = load_manifest(dataset).shard_paths(dataset, "train")
    captions = (each for record in read_pictures(shards) for each in record.raw_captions)
    cleaned = frozenset(clean_caption(each, caption) for each in captions)
    return Training(cleaned, Vocabulary.read(dataset / VOCABULARY))
