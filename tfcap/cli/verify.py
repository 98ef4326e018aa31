"""`tfcap verify`: check a dataset down to the last byte."""

import argparse
from pathlib import Path

HELP = "check every shard, record and hash of a dataset"
DESCRIPTION = """\
Check a dataset of `python -m beam_jobs.build_records`: that every shard of the manifest is there
with its size and hash, every record's checksums and fields are right, the counts and the
vocabulary agree, and nothing stale lies beside them. Each damage is a line that names shard,
record and byte.

Exit code: 0 the dataset is whole, 1 it is damaged, 2 there is no dataset."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="directory of the dataset")


def run(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from records.manifest import load_manifest
    from records.verify import check_files

    manifest = load_manifest(arguments.dataset)
    files = 1 + sum(len(info.shards) for info in manifest.split_infos.values())
    damages = 0
    for check in tqdm(check_files(arguments.dataset), "verify", files, unit=" files", leave=False):
        for damage in check.damages:
            tqdm.write(str(damage))
        damages += len(check.damages)
    if damages:
        print(f"{arguments.dataset}: {damages} damages; build the dataset again")
        return 1
    records = sum(info.records for info in manifest.split_infos.values())
    print(f"{arguments.dataset} is whole: {records} records in {files - 1} shards")
    return 0
