"""`tfcap score`: score captions that are in a file, whoever made them."""

import argparse
from pathlib import Path

from tfcap.cli.scoring import add_scoring, measures, origin, publish

HELP = "score captions in a file against references in a file"
DESCRIPTION = """\
Score captions that are in COCO's results format, whatever program made them, as `tfcap evaluate`
scores its own: BLEU, ROUGE-L and CIDEr-D as the COCO evaluation does, METEOR, how varied they are,
95% intervals. Pictures without a prediction are left out.

References are COCO's captions JSON, a JSON object of lists of captions by picture, or any captions
file that build_records reads. Predictions name pictures as the references do, or by COCO's id.

Examples:
  tfcap score --references captions_val2017.json --predictions results.json --human
  tfcap score --references captions.txt --predictions beam3.json --against greedy.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--references", type=Path, required=True, metavar="FILE", help="the pictures' captions")
    add("--predictions", type=Path, required=True, metavar="FILE.json", help="what to score")
    add(
        "--against",
        type=Path,
        metavar="FILE.json",
        help="other captions of the same pictures: print how much higher the first score, with "
        "the interval of a paired bootstrap",
    )
    add_scoring(parser)


def run(arguments: argparse.Namespace) -> int:
    from records.captions import DEFAULT_CLEANING
    from records.manifest import load_manifest
    from tfcap.metrics import read_predictions
    from tfcap.metrics.evaluation import compare_captions, evaluate_captions
    from tfcap.metrics.reference_files import read_reference_file

    references = read_reference_file(arguments.references)
    predictions, others = (
        path and references.named_alike(read_predictions(path))
        for path in (arguments.predictions, arguments.against)
    )
    trained_on = arguments.trained_on
    caption = load_manifest(trained_on).caption if trained_on else DEFAULT_CLEANING
    wanted = measures(arguments, caption)
    evaluation = evaluate_captions(
        references.captions, predictions, wanted, caption, origin(arguments)
    )
    differences = others and compare_captions(evaluation, others, wanted.lexicon)
    publish(arguments, evaluation, differences)
    return 0
