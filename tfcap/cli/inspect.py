"""`tfcap inspect`: what is in a dataset, or in one of its records."""

import argparse
from pathlib import Path

HELP = "show what a dataset holds, or one of its records"
DESCRIPTION = """\
Show a dataset's splits, specs and dead letters; with KEY, the record of one picture.

Examples:
  tfcap inspect data/flickr8k
  tfcap inspect data/flickr8k 1000268201_693b08cb0e.jpg --save picture.jpg"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("dataset", type=Path, metavar="DATASET", help="directory of the dataset")
    add("key", nargs="?", metavar="KEY", help="file name of a picture")
    add("--save", type=Path, metavar="FILE", help="write the record's JPEG there")


def run(arguments: argparse.Namespace) -> int:
    from records.errors import UserError
    from records.manifest import load_manifest

    manifest = load_manifest(arguments.dataset)
    if arguments.key:
        return _show_record(arguments, manifest)
    if arguments.save:
        raise UserError("--save writes the picture of one record: give its KEY too")
    print(f"dataset      {manifest.name}, fingerprint {manifest.fingerprint}")
    for split in manifest.splits:
        info = manifest.split(split)
        counts = f"{info.records} pictures, {info.captions} captions, {len(info.shards)} shards"
        print(f"{split:12} {counts}")
    print(f"in no split  {manifest.unassigned} pictures, left out")
    words, least = manifest.vocabulary_size, manifest.min_count
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
    return 0


def _show_record(arguments, manifest) -> int:
    """Print the record of a key, which its shard's number follows from."""
    from records.errors import UserError
    from records.example import decode_example
    from records.files import write_whole
    from records.shards import shard_of
    from records.tfrecord import read_records

    for split in manifest.splits:
        shards = manifest.shard_paths(arguments.dataset, split)
        shard = shards[shard_of(arguments.key, len(shards))]
        for index, payload in enumerate(read_records(shard)):
            record = decode_example(payload)
            if record.filename == arguments.key:
                print(f"record  {index} of {shard}")
                size = f"{record.width}x{record.height}, {len(record.encoded)} bytes of JPEG"
                print(f"picture {size}, source sha256 {record.sha256}")
                for raw, cleaned in zip(record.raw_captions, record.captions, strict=True):
                    print(f"  {raw}\n    {cleaned}")
                if arguments.save:
                    write_whole(arguments.save, record.encoded)
                return 0
    raise UserError(f"{arguments.key} is in no split of {arguments.dataset}: give a picture's name")
