"""The command as its users see it: datasets, dead letters, messages and exit codes."""

import csv
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from beam_jobs import shard_writer
from beam_jobs.build_records import main
from records.example import decode_example
from records.manifest import load_manifest
from records.tfrecord import read_records
from records.verify import verify_dataset
from records.vocabulary import Vocabulary

REPOSITORY = Path(__file__).resolve().parents[2]


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def all_records(directory, split):
    shards = load_manifest(directory).shard_paths(directory, split)
    return [decode_example(payload) for shard in shards for payload in read_records(shard)]


def failure(capsys, arguments):
    """Run a command that must fail and return its one line of complaint."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.strip() and not line.startswith("pictures:")]
    assert out == "" and len(lines) == 1, err
    assert lines[0].startswith("build_records: error: ")
    return lines[0]


def test_a_small_dataset(small_source, capsys):
    output = small_source.output
    assert main(small_source.arguments("--shards-per-split=2")) == 0
    assert verify_dataset(output) == []
    assert sorted(contents(output)) == [
        "dataset_info.json",
        "dead_letters.jsonl",
        "features.json",
        "flickr8k-train.index-00000-of-00002",
        "flickr8k-train.index-00001-of-00002",
        "flickr8k-train.tfrecord-00000-of-00002",
        "flickr8k-train.tfrecord-00001-of-00002",
        "flickr8k-val.index-00000-of-00002",
        "flickr8k-val.index-00001-of-00002",
        "flickr8k-val.tfrecord-00000-of-00002",
        "flickr8k-val.tfrecord-00001-of-00002",
        "manifest.json",
        "vocab.txt",
    ]
    train, val = all_records(output, "train"), all_records(output, "val")
    assert {record.filename for record in val} == {"0.jpg", "4.jpg", "8.jpg", "12.jpg"}
    assert len(train) == 12
    for record in train + val:
        assert (record.width, record.height) == (82, 64)
        pairs = dict(zip(record.raw_captions, record.captions, strict=True))
        assert pairs["A red cat's ball"] == "a red cat 's ball"
    summary = capsys.readouterr().out
    assert load_manifest(output).fingerprint in summary and str(output) in summary


def test_vocabulary_comes_from_the_training_split_alone(source, draw):
    source.add("t.jpg", "train", ["seen in training", "seen"], draw("red"))
    source.add("v.jpg", "dev", ["unseen validation"], draw("blue"))
    source.add("n.jpg", None, ["nowhere"], draw("green"))
    assert main(source.arguments()) == 0
    words = Vocabulary.read(source.output / "vocab.txt").words
    assert words[4:] == ("seen", "in", "training")
    assert load_manifest(source.output).source.unassigned == 1


@pytest.mark.parametrize("variant", ["two workers", "another order", "token form"])
def test_same_input_same_bytes(small_source, tmp_path, variant):
    assert main(small_source.arguments("--shards-per-split=3")) == 0
    expected, arguments = contents(small_source.output), small_source.arguments()
    header, *rows = small_source.captions.read_text().splitlines()
    if variant == "another order":
        random.Random(3).shuffle(rows)
        small_source.captions.write_text("\n".join([header, *rows]))
        for path in tmp_path.glob("Flickr_8k*"):
            path.write_text("\n".join(reversed(path.read_text().split())))
    if variant == "token form":
        pairs = enumerate(csv.reader(rows))
        lines = [f"{key}#{number}\t{caption}" for number, (key, caption) in pairs]
        small_source.captions.write_text("\n".join(lines))
    workers = "--workers=2" if variant == "two workers" else "--workers=1"
    again = tmp_path / "again"
    assert main([*arguments, "--shards-per-split=3", f"--output={again}", workers]) == 0
    assert contents(again) == expected


def fill_with_rejections(source, draw):
    """Add a picture for each reason of a dead letter; returns the expected (key, reason)s."""
    jpeg = draw("red")
    source.add("good.jpg", "train", ["A good dog", "★"], jpeg)
    source.add("missing.jpg", "train")
    source.add("undecodable.jpg", "dev", picture=b"this is no picture")
    source.add("truncated.jpg", "dev", picture=jpeg[:-20])
    source.add("too_small.png", "dev", picture=draw("red", (20, 90), "PNG"))
    source.add("too_large.png", "dev", picture=draw("red", (8000, 7000), "PNG"))
    source.add("unsupported_format.jpg", "dev", picture=draw("red", format_="TIFF"))
    source.add("all_captions_empty.jpg", "dev", ["...", "!"], jpeg)
    source.add("not_captioned.jpg", "dev", [], jpeg)
    return [
        ("all_captions_empty.jpg", "caption_empty"),
        ("all_captions_empty.jpg", "caption_empty"),
        ("all_captions_empty.jpg", "no_caption"),
        ("good.jpg", "caption_empty"),
        ("missing.jpg", "missing"),
        ("not_captioned.jpg", "no_caption"),
        ("too_large.png", "too_large"),
        ("too_small.png", "too_small"),
        ("truncated.jpg", "truncated"),
        ("undecodable.jpg", "undecodable"),
        ("unsupported_format.jpg", "unsupported_format"),
    ]


def test_dead_letters_name_every_rejection(source, draw, capsys):
    expected = fill_with_rejections(source, draw)
    assert main(source.arguments("--min-side=32")) == 0
    lines = (source.output / "dead_letters.jsonl").read_text().splitlines()
    letters = [json.loads(line) for line in lines]
    assert [(letter["key"], letter["reason"]) for letter in letters] == expected
    assert [letter.get("caption") for letter in letters[:4]] == ["!", "...", None, "★"]
    assert all(letter["detail"] for letter in letters)
    manifest = load_manifest(source.output)
    assert manifest.dead_letters["caption_empty"] == 3
    assert sum(manifest.dead_letters.values()) == len(expected)
    assert manifest.rejected == len(expected) - 3
    (record,) = all_records(source.output, "train")
    assert record.captions == ("a good dog",)
    assert verify_dataset(source.output) == []
    assert str(source.output / "dead_letters.jsonl") in capsys.readouterr().out


def test_no_picture_left_keeps_the_dead_letters_and_nothing_else(source, draw, capsys):
    source.add("missing.jpg", "train")
    complaint = failure(capsys, source.arguments())
    assert "no picture left (1 missing)" in complaint
    assert sorted(contents(source.output)) == ["dead_letters.jsonl"]
    (source.images / "missing.jpg").write_bytes(draw("red"))
    assert main(source.arguments()) == 0


@pytest.mark.parametrize(
    ("flag", "complaint"),
    [
        ("--images=/nowhere", "no directory or archive /nowhere: check --images"),
        ("--splits=/nowhere", "no directory /nowhere"),
        ("--captions=/nowhere.txt", "cannot read captions file /nowhere.txt"),
        ("--name=Flickr-8k", "--name 'Flickr-8k'"),
        ("--image-size=0", "size must be in 32..4096, got 0"),
        ("--quality=abc", "--quality: invalid int value: 'abc'"),
        ("--quality=100", "quality must be in 1..95, got 100"),
        ("--min-count=0", "min_count must be a whole number of at least 1, got 0"),
        ("--workers=0", "--workers must be at least 1"),
        ("--shards-per-split=99", "split train has only 12 pictures"),
        ("--min-cuont=3", "unknown option --min-cuont"),
        ("stray", "unknown option stray"),
        ("--direct_num_workers=many", "--direct_num_workers: invalid"),
        ("--output=nofs://bucket/x", "no library for nofs://bucket/x"),
        ("--output=data*", "--output data* must not hold"),
    ],
)
def test_wrong_options_are_one_line_and_write_nothing(small_source, capsys, flag, complaint):
    assert complaint in failure(capsys, small_source.arguments(flag))
    assert not small_source.output.exists()


def test_required_options(capsys):
    assert "--images" in failure(capsys, [])


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("captions.txt", "", "captions.txt is empty"),
        ("captions.txt", "image,caption\na.jpg,x\n../b.jpg,x\n", "line 3"),
        ("captions.txt", "image,caption\nother.jpg,x\n", "no picture left"),
        ("Flickr_8k.testImages.txt", "1.jpg\n", "1.jpg is in two splits"),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(small_source, capsys, file, content, complaint):
    (small_source.root / file).write_text(content)
    assert complaint in failure(capsys, small_source.arguments())
    assert not small_source.output.exists()


def test_directory_without_split_files(small_source, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    complaint = failure(capsys, small_source.arguments(f"--splits={tmp_path / 'empty'}"))
    assert "no split file" in complaint


def test_a_dataset_is_replaced_only_on_demand(small_source, capsys):
    output = small_source.output
    assert main(small_source.arguments("--shards-per-split=4", "--name=older")) == 0
    (output / "notes.txt").write_text("mine")
    (output / "foreign-train.tfrecord-00000-of-00001").write_bytes(b"not of this dataset")
    (output / ".incomplete").mkdir()
    (output / ".incomplete" / "leftover").write_bytes(b"half")
    before = contents_of_files(output)
    capsys.readouterr()
    assert "add --overwrite" in failure(capsys, small_source.arguments())
    assert contents_of_files(output) == before
    assert main(small_source.arguments("--overwrite")) == 0
    assert sorted(path.name for path in output.iterdir()) == [
        "dataset_info.json",
        "dead_letters.jsonl",
        "features.json",
        "flickr8k-train.index-00000-of-00001",
        "flickr8k-train.tfrecord-00000-of-00001",
        "flickr8k-val.index-00000-of-00001",
        "flickr8k-val.tfrecord-00000-of-00001",
        "foreign-train.tfrecord-00000-of-00001",
        "manifest.json",
        "notes.txt",
        "vocab.txt",
    ]
    assert verify_dataset(output) == []


def contents_of_files(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_shards_without_a_manifest_are_not_overwritten_silently(small_source, capsys):
    small_source.output.mkdir()
    stale = small_source.output / "flickr8k-train.tfrecord-00000-of-00009"
    stale.write_bytes(b"")
    assert stale.name in failure(capsys, small_source.arguments())
    assert main(small_source.arguments("--overwrite")) == 0
    assert not stale.exists()


@pytest.mark.parametrize("existed", [False, True])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    small_source, capsys, monkeypatch, existed
):
    def fail(output, payloads):
        output.write(next(payloads))
        raise OSError(28, "No space left on device")

    if existed:
        small_source.output.mkdir()
        (small_source.output / "notes.txt").write_text("mine")
    monkeypatch.setattr(shard_writer, "write_records", fail)
    complaint = failure(capsys, small_source.arguments())
    assert "No space left on device" in complaint and "nothing was kept" in complaint
    assert small_source.output.exists() == existed
    if existed:
        assert list(contents(small_source.output)) == ["notes.txt"]


def test_a_disk_that_is_full_from_the_start_is_one_line(small_source, capsys, monkeypatch):
    def fail(path, attempts, write):
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr("beam_jobs.staging.write_whole", fail)
    assert "No space left on device" in failure(capsys, small_source.arguments())
    assert not small_source.output.exists()


def test_a_remote_file_system_gets_the_same_bytes(small_source, memory, draw):
    """From it and to it: started, failed past the budget, retried, built again, replaced."""
    small_source.add("late.jpg", "train")
    for path in (*small_source.images.iterdir(), *small_source.root.glob("*.txt")):
        memory[f"mem://b/{path.relative_to(small_source.root)}"] = path.read_bytes()
    remote = [
        "--images=mem://b/Images",
        "--captions=mem://b/captions.txt",
        "--splits=mem://b",
        "--output=mem://b/out/",
    ]
    arguments = small_source.arguments("--shards-per-split=2")
    assert main([*arguments, *remote, "--max-bad=0"]) == 2
    assert not any(name.startswith("mem://b/out/flickr8k") for name in memory)
    memory["mem://b/Images/late.jpg"] = draw("blue")
    assert main([*arguments, *remote, "--max-bad=0", "--retry-failed"]) == 0
    (small_source.images / "late.jpg").write_bytes(draw("blue"))
    assert main(arguments) == 0
    expected = contents(small_source.output)
    for more in ([], ["--overwrite"]):
        assert main([*arguments, *remote, *more]) == 0
        found = {name: memory[name] for name in memory if name.startswith("mem://b/out/")}
        assert found == {f"mem://b/out/{name}": content for name, content in expected.items()}


def test_builds_without_tensorflow(small_source):
    code = (
        "import sys; from beam_jobs.build_records import main; code = main(sys.argv[1:]);"
        "assert 'tensorflow' not in sys.modules; sys.exit(code)"
    )
    subprocess.run(
        [sys.executable, "-c", code, *small_source.arguments()], cwd=REPOSITORY, check=True
    )


def test_workers_find_the_package_from_any_directory(small_source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(small_source.arguments("--workers=2")) == 0
    assert verify_dataset(small_source.output) == []


def test_progress_counts_every_picture_on_stderr(small_source, capsys):
    assert main(small_source.arguments()) == 0
    assert "16/16" in capsys.readouterr().err


def test_help_reads_as_documentation(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert exit_.value.code == 0
    for part in ("example:", "exit codes:", "--overwrite", "(default: 224)", "dead_letters.jsonl"):
        assert part in text


def test_real_pictures_at_their_original_size(shared, source):
    originals = shared / "flickr8k_originals"
    keys = sorted(path.name for path in (originals / "Images").iterdir())
    (source.root / "Flickr_8k.trainImages.txt").write_text("\n".join(keys[:80]))
    (source.root / "Flickr_8k.devImages.txt").write_text("\n".join(keys[80:]))
    arguments = [*source.arguments(), f"--images={originals / 'Images'}", "--image-size=224"]
    assert main([*arguments, f"--captions={originals / 'captions.txt'}"]) == 0
    manifest = load_manifest(source.output)
    assert (manifest.records("train"), manifest.records("val")) == (80, len(keys) - 80)
    assert manifest.dead_letters == {} and manifest.source.unassigned == 0
    for record in all_records(source.output, "train"):
        with Image.open(originals / "Images" / record.filename) as original:
            assert min(record.width, record.height) == min(224, *original.size)
        assert len(record.captions) == 5
