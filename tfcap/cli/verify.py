"""`tfcap verify`: check a dataset down to the last byte, and repair it."""

import argparse
from pathlib import Path

from beam_jobs.source_options import add_source_options

HELP = "check every shard, record, index and hash of a dataset; repair it"
DESCRIPTION = """\
Check a dataset of `python -m beam_jobs.build_records`: that every shard of the manifest is there
with its size, hash and index, every record's checksums and fields are right, the counts and the
vocabulary agree, and nothing stale lies beside them. Each damage is a line that names shard,
record and byte.

With --repair, damaged files are made anew, and only those; the options that the dataset was built
with are needed for it:

  tfcap verify data/flickr8k --repair --images flickr8k/Images \\
      --captions flickr8k/captions.txt --splits flickr8k

Exit code: 0 the dataset is whole (again), 1 it is damaged, 2 there is no dataset."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="directory of the dataset")
    group = parser.add_argument_group("repair")
    group.add_argument("--repair", action="store_true", help="make damaged files anew")
    add_source_options(group, required=False)


def run(arguments: argparse.Namespace) -> int:
    from records.errors import UserError

    if arguments.repair and not (arguments.images and arguments.captions and arguments.splits):
        raise UserError("--repair needs the --images, --captions and --splits of the build")
    damaged = _check(arguments.dataset)
    if damaged and arguments.repair:
        _repair(arguments, damaged)
        damaged = _check(arguments.dataset)
    if damaged:
        remedy = "build it again" if arguments.repair else "repair it with --repair"
        print(f"{arguments.dataset}: {len(damaged)} damaged files; {remedy}")
        return 1
    return 0


def _check(dataset: Path) -> set[str]:
    """Print every damage, or that there is none; return the names of the damaged files."""
    from tqdm import tqdm

    from records.manifest import load_manifest
    from records.verify import check_files, count_checks

    manifest = load_manifest(dataset)
    damaged = set()
    checks = tqdm(
        check_files(dataset), "verify", count_checks(manifest), unit=" files", leave=False
    )
    for check in checks:
        for damage in check.damages:
            tqdm.write(str(damage))
            damaged.add(damage.file)
    if not damaged:
        infos = manifest.split_infos.values()
        records = sum(info.records for info in infos)
        shards = sum(len(info.shards) for info in infos)
        print(f"{dataset} is whole: {records} records in {shards} shards")
    return damaged


def _repair(arguments: argparse.Namespace, damaged: set[str]) -> None:
    from beam_jobs.paths import make_source, resolve_path
    from beam_jobs.repair import repair, repair_job
    from records.manifest import load_manifest

    manifest = load_manifest(arguments.dataset)
    source = make_source(arguments)
    job = repair_job(arguments.dataset, manifest, resolve_path(arguments.images), source)
    for line in repair(job, manifest, damaged):
        print(line)
