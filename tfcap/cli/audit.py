"""`tfcap audit`: what is in a dataset twice, and what teaches nothing."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from records.audit import Audit, DegenerateCaption, PicturePair, SharedCaption

EXAMPLES = 10

HELP = "find pictures that are in two splits, duplicates and poor captions"
DESCRIPTION = """\
Read every record of a dataset and tell, leaks between splits first: pictures with the same bytes,
with the same pixels, or nearly the same picture (re-encoded, resized, lightly cropped, brighter or
darker, or taken a moment later); captions that several splits share; captions that are too short,
one word over and over, or twice on one picture.

Exit code: 0 the audit was made, 1 a picture leaks and --fail-on-leak is given, 2 there is no
dataset or it is damaged."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="directory of the dataset")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything found to FILE")
    parser.add_argument(
        "--fail-on-leak",
        action="store_true",
        help="exit code 1 if two splits share a picture, be it the same or nearly the same",
    )


def run(arguments: argparse.Namespace) -> int:
    import json

    from tqdm import tqdm

    from records.audit import audit_dataset
    from records.files import write_whole
    from records.manifest import load_manifest

    manifest = load_manifest(arguments.dataset)
    total = sum(manifest.records(split) for split in manifest.splits)
    with tqdm(desc="audit", total=total, unit=" pictures", leave=False) as bar:
        audit = audit_dataset(arguments.dataset, progress=bar.update)
    if arguments.json:
        write_whole(arguments.json, json.dumps(audit.to_dict(), indent=2) + "\n")
    print("\n".join(summary_lines(audit)))
    return 1 if arguments.fail_on_leak and audit.leaks else 0


def summary_lines(audit: "Audit") -> Iterator[str]:
    """Return the lines of the report, with up to `EXAMPLES` examples of each finding."""
    sizes = ", ".join(f"{split} {count}" for split, count in sorted(audit.pictures.items()))
    yield f"{audit.dataset}: {sum(audit.pictures.values())} pictures ({sizes})"
    same_split = [pair for pair in audit.duplicates if not pair.leak]
    yield from _section("picture pairs that cross splits", map(_pair, audit.leaks))
    yield from _section("picture pairs within a split", map(_pair, same_split))
    yield from _section(
        "pairs of pictures in different splits with the same captions",
        map(_pair, audit.equal_caption_sets),
    )
    yield from _section(
        f"captions in several splits, on {audit.shared_caption_pictures} pictures",
        map(_shared, audit.shared_captions),
    )
    yield from _section("poor captions", map(_degenerate, audit.degenerate_captions))


def _section(title: str, found: Iterable[str]) -> Iterator[str]:
    lines: Sequence[str] = list(found)
    yield f"{len(lines)} {title}"
    yield from (f"  {line}" for line in lines[:EXAMPLES])
    if len(lines) > EXAMPLES:
        yield f"  ... and {len(lines) - EXAMPLES} more: see --json"


def _pair(pair: "PicturePair") -> str:
    sides = (f"{split} {key}" for split, key in zip(pair.splits, pair.keys, strict=True))
    bits = f" ({pair.distance} of 64 bits differ)" if pair.kind == "near" else ""
    return f"{pair.kind.value:8} " + "  =  ".join(sides) + bits


def _shared(shared: "SharedCaption") -> str:
    counts = ", ".join(f"{split} {count}" for split, count in sorted(shared.pictures.items()))
    return f"{shared.caption!r}: {counts}"


def _degenerate(found: "DegenerateCaption") -> str:
    return f"{found.kind.value:8} {found.split} {found.key}: {found.caption!r}"
