"""`tfcap audit`: its report, its JSON file and its exit codes."""

import argparse
import json
from types import SimpleNamespace

import pytest

import records.audit
import records.manifest
from records.audit import (
    Audit,
    Degeneracy,
    DegenerateCaption,
    Likeness,
    PicturePair,
    SharedCaption,
)
from tfcap.cli import audit

LEAK = PicturePair(Likeness.NEAR, ("a.jpg", "b.jpg"), ("train", "val"), 7)
WITHIN = PicturePair(Likeness.BYTES, ("a.jpg", "c.jpg"), ("train", "train"))
SHORT = tuple(
    DegenerateCaption(Degeneracy.SHORT, "train", f"{number}.jpg", "broken\nimage")
    for number in range(12)
)


def audit_of(*duplicates):
    return Audit(
        dataset="tiny",
        fingerprint="0" * 64,
        pictures={"val": 1, "train": 2},
        captions={"val": 5, "train": 10},
        duplicates=duplicates,
        shared_captions=(SharedCaption("a dog", {"val": 1, "train": 2}),),
        shared_caption_pictures=3,
        equal_caption_sets=(),
        degenerate_captions=SHORT,
    )


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command on a dataset in which these duplicates are found."""

    def run_command(duplicates, *flags):
        manifest = SimpleNamespace(splits=("train",), records=lambda split: 2)
        monkeypatch.setattr(records.manifest, "load_manifest", lambda directory: manifest)
        monkeypatch.setattr(
            records.audit, "audit_dataset", lambda directory, progress: audit_of(*duplicates)
        )
        parser = argparse.ArgumentParser()
        audit.add_arguments(parser)
        return audit.run(parser.parse_args([str(tmp_path), *flags]))

    return run_command


def test_the_report_counts_everything_and_shows_leaks_first(run, capsys):
    assert run([LEAK, WITHIN]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "tiny: 3 pictures (train 2, val 1)",
        "1 picture pairs that cross splits",
        "  near     train a.jpg  =  val b.jpg (7 of 64 bits differ)",
        "1 picture pairs within a split",
        "  bytes    train a.jpg  =  train c.jpg",
        "0 pairs of pictures in different splits with the same captions",
        "1 captions in several splits, on 3 pictures",
        "  'a dog': train 2, val 1",
        "12 poor captions",
        *(f"  short    train {number}.jpg: 'broken\\nimage'" for number in range(10)),
        "  ... and 2 more: see --json",
    ]


def test_json_has_everything(run, tmp_path):
    run([LEAK, WITHIN], "--json", str(tmp_path / "audit.json"))
    assert json.loads((tmp_path / "audit.json").read_text()) == audit_of(LEAK, WITHIN).to_dict()


@pytest.mark.parametrize(("duplicates", "code"), [([LEAK, WITHIN], 1), ([WITHIN], 0), ([], 0)])
def test_only_a_leak_fails_and_only_where_it_is_asked_to(run, duplicates, code):
    assert run(duplicates, "--fail-on-leak") == code
    assert run(duplicates) == 0
