"""What caption_images refuses, and in which words."""

import shutil
import sys

import pytest
from stopping import contents
from tiny_export import write_tiny_export

from beam_jobs.caption_images import main


def failure(capsys, arguments):
    """Run a command that must fail and return its one line of complaint."""
    capsys.readouterr()
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("caption_images: ")]
    assert out == "" and len(lines) == 1 and "Traceback" not in err, err
    return lines[0].removeprefix("caption_images: error: ")


def test_what_is_captioned_is_left_as_it_is(plain_model, arguments, tmp_path, capsys):
    assert main(arguments()) == 0
    before = contents(tmp_path / "out")
    assert main(arguments()) == 0
    assert "already captioned" in capsys.readouterr().out
    assert "batch size 2 there, 3 now" in failure(capsys, arguments("--batch-size=3"))
    assert contents(tmp_path / "out") == before
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert main(arguments("--shards=1", "--overwrite")) == 0
    assert sorted(contents(tmp_path / "out")) == [
        "captions-00000-of-00001.jsonl",
        "dead_letters.jsonl",
        "manifest.json",
        "mine.txt",
    ]


def test_output_among_the_pictures_is_none_of_them(plain_model, arguments, photos, capsys):
    inside = f"--output={photos / 'captions'}"
    assert main(arguments(inside)) == 0
    assert main(arguments(inside)) == 0
    assert "already captioned" in capsys.readouterr().out


def test_another_export_of_the_same_name_is_another_job(
    plain_model, arguments, model, tmp_path, capsys
):
    assert main(arguments()) == 0
    copy = tmp_path / "copy"
    shutil.copytree(model / "2", copy)
    with (copy / "assets.extra" / "tfcap.json").open("a") as card:
        card.write("\n")
    assert "model" in failure(capsys, arguments(f"--model={copy}"))


def test_too_many_bad_pictures(plain_model, arguments, photos, tmp_path, capsys):
    assert "2 of 11 pictures (18.18%)" in failure(capsys, arguments("--max-bad=1"))
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert main(arguments("--max-bad=2")) == 0


def test_no_good_picture(plain_model, arguments, photos, tmp_path, capsys):
    complaint = failure(capsys, arguments(f"--images={photos}/[bn]*.jpg"))
    assert complaint.startswith("no picture left (2 undecodable)")
    assert main(arguments()) == 0


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--model=/nowhere"], "/nowhere holds no export"),
        (["--images=/nowhere/*.jpg"], "no picture matches --images /nowhere/*.jpg"),
        (
            ["--images=/tmp"],
            "--images /tmp is a directory: give a quoted pattern such as '/tmp/**'",
        ),
        (["another.jpg"], "unknown option another.jpg"),
        (["--batch-size=0"], "--batch-size must be at least 1, got 0"),
        (["--shards=0"], "--shards must be at least 1, got 0"),
        (["--workers=2", "--runner=PortableRunner"], "--workers is for the local runner"),
    ],
)
def test_wrong_options(arguments, tmp_path, capsys, more, complaint):
    assert complaint in failure(capsys, arguments(*more))
    assert not (tmp_path / "out").exists()


def test_what_is_no_export_of_tfcap(arguments, model, tmp_path, capsys):
    foreign = tmp_path / "foreign"
    shutil.copytree(model / "2", foreign)
    (foreign / "assets.extra" / "tfcap.json").write_text("{}")
    assert "was not made by `tfcap export`" in failure(capsys, arguments(f"--model={foreign}"))
    damaged = tmp_path / "damaged"
    shutil.copytree(model / "2", damaged)
    (damaged / "saved_model.pb").write_bytes(b"\xff\xff")
    complaint = failure(capsys, arguments(f"--model={damaged}"))
    assert "cannot be loaded" in complaint and "while running" not in complaint
    blind = write_tiny_export(tmp_path / "blind", embed=False)
    complaint = failure(capsys, arguments("--embeddings", f"--model={blind}"))
    assert "has no signature 'embed'" in complaint


@pytest.mark.parametrize("absent", ["tensorflow", "tensorflow_text"])
def test_libraries_that_are_missing_are_named(arguments, tmp_path, capsys, monkeypatch, absent):
    standard = write_tiny_export(tmp_path / "standard", portable=False)
    monkeypatch.setitem(sys.modules, absent, None)
    complaint = failure(capsys, arguments(f"--model={standard}"))
    assert "pip install 'tfcap[tf]'" in complaint
    assert ("--portable" in complaint) == (absent == "tensorflow_text")


def test_a_dataset_is_never_overwritten(arguments, small_source, tmp_path, capsys):
    from beam_jobs.build_records import main as build_records

    assert build_records(small_source.arguments()) == 0
    capsys.readouterr()
    before = contents(small_source.output)
    for more in ([], ["--overwrite"]):
        complaint = failure(capsys, arguments(f"--output={small_source.output}", *more))
        assert "is not free" in complaint
    assert contents(small_source.output) == before
