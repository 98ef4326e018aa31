"""`tfcap evaluate`: caption held-out pictures and score the captions."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from tfcap.cli.captioning import caption_pictures, load_runs, read_split
from tfcap.cli.evaluation_page import check_html, write_html
from tfcap.cli.options import add_ensemble, add_search, search_name, search_spec
from tfcap.cli.scoring import add_scoring, measures, origin, publish

HELP = "caption held-out pictures and score the captions: BLEU, METEOR, ROUGE-L, CIDEr-D"
DESCRIPTION = """\
Caption pictures with a run or an export, and score the captions against the pictures' references
as the COCO evaluation does (its tokenizer, its BLEU, ROUGE-L and CIDEr-D; document frequencies
from the references of the evaluated pictures). METEOR is the metric of 2005, by exact words and
stems, and synonyms where NLTK finds WordNet: not the METEOR 1.5 of the COCO code, which gives much
lower numbers. The intervals hold 95% of 1,000 bootstrap samples of the pictures. `exact` is the
share of pictures whose caption, cleaned, equals one of its references.

Examples:
  tfcap evaluate --run runs/large --dataset data/flickr8k --split val
  tfcap evaluate --model exports/large --images Images --captions captions.txt \\
    --ids Flickr_8k.devImages.txt --predictions predictions.json --html report.html"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--run", type=Path, metavar="DIR", help="run of `tfcap train`")
    model.add_argument("--model", type=Path, metavar="EXPORT", help="export of `tfcap export`")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--dataset", type=Path, metavar="DIR", help="records of build_records")
    data.add_argument("--images", type=Path, metavar="DIR", help="pictures, with --captions")
    add = parser.add_argument
    add("--epoch", type=int, metavar="N", help="of a run that keeps them (default: the best)")
    add("--split", default="val", help="of the dataset: train, val or test (default: val)")
    add("--captions", type=Path, metavar="FILE", help="captions of --images")
    add("--ids", type=Path, metavar="FILE", help="names of the pictures to take, one a line")
    add("--predictions", type=Path, metavar="FILE.json", help="write captions, in COCO's format")
    add("--html", type=Path, metavar="FILE.html", help="write a report of it: one page to look at")
    add("--batch-size", type=int, default=32, help="pictures at once (default: %(default)s)")
    add_ensemble(parser)
    add_search(parser)
    add_scoring(parser)


def run(arguments: argparse.Namespace) -> int:
    from records.errors import UserError
    from tfcap.metrics import write_predictions
    from tfcap.metrics.evaluation import evaluate_captions

    if (arguments.images is None) != (arguments.captions is None):
        raise UserError("--images and --captions go together: give both, or --dataset")
    if arguments.ids and not arguments.images:
        raise UserError("--ids picks among --images: leave it out with --dataset")
    if arguments.batch_size < 1:
        raise UserError(f"--batch-size must be at least 1, got {arguments.batch_size}")
    if arguments.model and (arguments.ensemble or arguments.epoch is not None):
        raise UserError("--epoch and --ensemble go with a --run: leave them out with --model")
    if arguments.html:
        check_html(arguments.html)
    how = search_spec(arguments)
    if arguments.model and how != type(how)():
        raise UserError("an export searches as it was exported: leave out --beams and its like")
    if arguments.model:
        signature, picture, caption, how = _load_export(arguments.model)
    else:
        signature, picture, caption = _load_run(arguments, how)
    wanted = measures(arguments, caption)  # before the captions, which take longer
    if arguments.dataset:
        data = (arguments.dataset, arguments.split)
        references, pictures, split = read_split(*data, picture, caption)
    else:
        references, pictures, split = *_from_files(arguments, picture), None
    total = len(references)
    predictions = caption_pictures(signature, pictures, total, arguments.batch_size)
    if arguments.predictions:
        write_predictions(arguments.predictions, predictions)
    whence = origin(arguments, split, search_name(how))
    evaluation = evaluate_captions(references, predictions, wanted, caption, whence)
    publish(arguments, evaluation)
    if arguments.html:
        write_html(arguments, references, evaluation)
    if arguments.predictions:
        print(f"captions in {arguments.predictions}")
    return 0


def _load_export(path: Path) -> tuple:
    """Return (the signature that captions, its PictureSpec, CaptionSpec and SearchSpec)."""
    from tfcap.export import load_export

    export = load_export(path)
    signature = export.signatures["serving_default"]
    return signature, export.picture, export.caption, export.search


def _load_run(arguments: argparse.Namespace, how) -> tuple:
    """Return (the signature that captions, its PictureSpec and CaptionSpec)."""
    from tfcap.signatures import build_signatures

    captioner = load_runs(arguments.run, arguments.ensemble, arguments.epoch)
    _, signatures = build_signatures(captioner, True, how)
    return signatures["serving_default"], captioner.picture, captioner.caption


def _from_files(arguments, picture) -> tuple[dict, Iterator[tuple[str, bytes]]]:
    """Return (raw captions by key, the pictures made ready) of a directory and its captions."""
    from collections import defaultdict
    from io import BytesIO

    from records.errors import UserError
    from records.sources import parse_captions
    from records.splits import parse_keys

    if not arguments.images.is_dir():
        raise UserError(f"{arguments.images} is no directory: give --images the pictures'")
    references = defaultdict(list)
    for row in parse_captions(_read(arguments.captions), str(arguments.captions)):
        references[row.key].append(row.caption)
    keys = list(references)
    if arguments.ids:
        keys = list(parse_keys(BytesIO(_read(arguments.ids)), str(arguments.ids)))
        unknown = [key for key in keys if key not in references]
        if unknown or not keys:
            what = f"names {unknown[0]}, which has no caption" if unknown else "names no picture"
            raise UserError(f"{arguments.ids} {what} in {arguments.captions}: correct it")
    pictures = ((key, arguments.images / key) for key in keys)
    from tfcap.cli.pictures import ready_pictures

    return {key: references[key] for key in keys}, ready_pictures(pictures, picture)


def _read(path: Path) -> bytes:
    from records.errors import UserError

    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}): check the path") from None
