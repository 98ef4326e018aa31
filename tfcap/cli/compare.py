"""`tfcap compare`: several runs on one table."""

import argparse
import time
from pathlib import Path

from tfcap.cli.captioning import caption_pictures, read_split
from tfcap.cli.options import add_search, search_name, search_spec

HELP = "put several runs on one table: scores, sizes, training time, captions a second"
DESCRIPTION = """\
Caption a split with several runs, all with the same search, and print what came of each beside its
size, the time that its training steps took, and the captions a second from bytes to words, the
first batch aside. Rows stand from the best CIDEr-D to the worst.

Example:
  tfcap compare runs/rnn runs/merge runs/best --dataset data/flickr8k --beams 3 --json table.json"""

_COLUMNS = {
    "run": "{}",
    "encoder": "{}",
    "decoder": "{}",
    "parameters": "{:,}",
    "training_minutes": "{:.1f}",
    "captions_per_second": "{:.1f}",
    "BLEU-1": "{:.1f}",
    "BLEU-4": "{:.1f}",
    "METEOR": "{:.1f}",
    "ROUGE-L": "{:.1f}",
    "CIDEr-D": "{:.3f}",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="RUN", help="runs of `tfcap train`")
    add("--dataset", type=Path, required=True, metavar="DIR", help="records of build_records")
    add("--split", default="val", help="of the dataset: train, val or test (default: val)")
    add("--batch-size", type=int, default=32, help="pictures at once (default: %(default)s)")
    add("--json", type=Path, metavar="FILE", help="write the table there, with intervals")
    add_search(parser)


def run(arguments: argparse.Namespace) -> int:
    import json

    from records.errors import UserError
    from records.files import write_whole
    from tfcap.metrics.meteor import load_lexicon

    if arguments.batch_size < 1:
        raise UserError(f"--batch-size must be at least 1, got {arguments.batch_size}")
    how = search_spec(arguments)
    lexicon = load_lexicon()
    rows = [_row(arguments, run, how, lexicon) for run in arguments.runs]
    rows.sort(key=lambda row: row["CIDEr-D"], reverse=True)
    print(format_rows(rows))
    print(f"split {arguments.split}, search {search_name(how)}, METEOR is {lexicon.metric}")
    if arguments.json:
        write_whole(arguments.json, json.dumps(rows, indent=1) + "\n")
        print(f"the table is in {arguments.json}")
    return 0


def format_rows(rows: list[dict]) -> str:
    """Return rows as a table: names to the left, numbers to the right, "-" for what is unknown."""
    cells = [[name.replace("_", " ") for name in _COLUMNS]]
    for row in rows:
        cells.append(
            [
                "-" if row[name] is None else form.format(row[name])
                for name, form in _COLUMNS.items()
            ]
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    sides = ["<" if form == "{}" else ">" for form in _COLUMNS.values()]
    return "\n".join(
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True)
        )
        for line in cells
    )


def _row(arguments: argparse.Namespace, run: Path, how, lexicon) -> dict:
    import itertools

    from tfcap import runs
    from tfcap.captioner import load_captioner
    from tfcap.config import RunConfig
    from tfcap.metrics.evaluation import Measures, evaluate_captions
    from tfcap.signatures import build_signatures

    config = RunConfig.load(run / runs.CONFIG)
    captioner = load_captioner(run)
    signature = build_signatures(captioner, True, how)[1]["serving_default"]
    data = (arguments.dataset, arguments.split)
    references, pictures, _ = read_split(*data, captioner.picture, captioner.caption)
    size = arguments.batch_size
    # The first batch pays for what TensorFlow prepares.
    first = list(itertools.islice(pictures, size))
    predictions = caption_pictures(signature, first, len(first), size)
    rate = None
    if left := len(references) - len(first):
        began = time.perf_counter()
        rest = caption_pictures(signature, pictures, left, size)
        rate = len(rest) / (time.perf_counter() - began)
        predictions |= rest
    evaluation = evaluate_captions(references, predictions, Measures(lexicon), captioner.caption)
    scores = {name.split(" ")[0]: each for name, each in evaluation.scores.items()}
    times = runs.read_times(run)
    return {
        "run": run.name,
        "encoder": config.model.encoder + (", pooled" if config.model.pooled else ""),
        "decoder": config.model.decoder.kind,
        "parameters": captioner.encoder.count_params() + captioner.decoder.count_params(),
        "training_minutes": sum(times) / 60 if times else None,
        "captions_per_second": rate,
        **{name: each.value for name, each in scores.items()},
        "intervals": {name: (each.low, each.high) for name, each in scores.items()},
    }
