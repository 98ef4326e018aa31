"""`tfcap inspect`: what is in a dataset, or in one of its records."""

import argparse
from pathlib import Path

HELP = "show what a dataset holds, one of its records, or all of it as a page"
DESCRIPTION = """\
Show a dataset's splits, policies and dead letters; with KEY, the record of one picture, found by
the offset index; with --html, a page to look at: plots, sample pictures, duplicates across splits.

Examples:
  tfcap inspect data/flickr8k
  tfcap inspect data/flickr8k 1000268201_693b08cb0e.jpg --save picture.jpg
  tfcap inspect data/flickr8k --html card.html"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("dataset", type=Path, metavar="DATASET", help="directory of the dataset")
    add("key", nargs="?", metavar="KEY", help="file name of a picture")
    add("--save", type=Path, metavar="FILE", help="write the record's JPEG there")
    add("--html", type=Path, metavar="FILE", help="write the dataset card there")


def run(arguments: argparse.Namespace) -> int:
    from records.errors import UserError
    from records.manifest import load_manifest

    manifest = load_manifest(arguments.dataset)
    if arguments.key and arguments.html:
        raise UserError("--html shows the whole dataset: leave out KEY")
    if arguments.key:
        return _show_record(arguments, manifest)
    if arguments.save:
        raise UserError("--save writes the picture of one record: give its KEY too")
    if arguments.html:
        return _write_card(arguments, manifest)
    _show_dataset(manifest)
    return 0


def _show_dataset(manifest) -> None:
    print(f"dataset      {manifest.name}, fingerprint {manifest.fingerprint}")
    for split in manifest.splits:
        info = manifest.split(split)
        counts = f"{info.records} pictures, {info.captions} captions, {len(info.shards)} shards"
        print(f"{split:12} {counts}")
    print(f"in no split  {manifest.source.unassigned} pictures, left out")
    words, least = manifest.vocabulary_size, manifest.caption.min_count
    print(f"vocabulary   {words} tokens; words seen at least {least} times in train")
    statistics = manifest.statistics
    print(
        f"captions     {statistics.caption_words_mean:.1f} words on average, "
        f"{statistics.caption_words_max} at most"
    )
    print(f"pictures     {manifest.picture} {manifest.picture.digest()}")
    print(f"cleaning     {manifest.caption} {manifest.caption.digest()}")
    letters = ", ".join(f"{count} {reason}" for reason, count in manifest.dead_letters.items())
    print(f"dead letters {letters or 'none'}")


def _show_record(arguments: argparse.Namespace, manifest) -> int:
    from records.files import write_whole
    from records.index import find_record

    found = find_record(arguments.dataset, manifest, arguments.key)
    if found is None:
        _refuse_key(arguments.dataset, arguments.key)
    record = found.record
    print(f"record  {found.index} of {found.shard}")
    size = f"{record.width}x{record.height}, {len(record.encoded)} bytes of JPEG"
    print(f"picture {size}, source sha256 {record.sha256}")
    for raw, cleaned in zip(record.raw_captions, record.captions, strict=True):
        print(f"  {raw}\n    {cleaned}")
    if arguments.save:
        write_whole(arguments.save, record.encoded)
    return 0


def _refuse_key(dataset: Path, key: str) -> None:
    """Raise UserError for a picture without a record, with its dead letter if there is one."""
    from records.dead_letters import parse_dead_letters
    from records.errors import UserError
    from records.manifest import DEAD_LETTERS

    path = dataset / DEAD_LETTERS
    for letter in parse_dead_letters(path.read_text("utf-8"), str(path)):
        if letter.key == key and letter.concerns_picture:
            raise UserError(f"{key} was rejected: {letter.reason} ({letter.detail})")
    raise UserError(f"{key} is in no split of {dataset}: give a picture's name")


def _write_card(arguments: argparse.Namespace, manifest) -> int:
    from tqdm import tqdm

    from records.audit import audit_dataset
    from records.errors import UserError
    from records.files import write_whole

    try:
        from tfcap.reports.dataset_card import make_dataset_card
    except ModuleNotFoundError as error:
        raise UserError(f"--html needs {error.name}: pip install 'tfcap[report]'") from None
    pictures = sum(info.records for info in manifest.split_infos.values())
    with tqdm(desc="card", total=2 * pictures, unit=" pictures", leave=False) as bar:
        audit = audit_dataset(arguments.dataset, bar.update)
        card = make_dataset_card(arguments.dataset, manifest, audit, bar.update)
    write_whole(arguments.html, card)
    print(f"wrote {arguments.html}")
    return 0
