"""`tfcap verify --repair`: damaged files come back byte for byte, and nothing else is touched."""

import random

import pytest

from beam_jobs.build_records import main as build_records
from records.verify import verify_dataset
from tfcap.cli.main import main


@pytest.fixture
def built(small_source):
    """A source and the whole dataset built from it."""
    small_source.add("missing.jpg", "train")
    assert build_records(small_source.arguments("--shards-per-split=2")) == 0
    return small_source


def repair(source, *more):
    return main(
        [
            "verify",
            str(source.output),
            "--repair",
            f"--images={source.images}",
            f"--captions={source.captions}",
            f"--splits={source.root}",
            *more,
        ]
    )


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_any_damage_of_any_file_is_repaired(built, capsys):
    expected, chance = contents(built.output), random.Random(4)
    names = [name for name in expected if name not in ("manifest.json", "dead_letters.jsonl")]
    for name in names:
        path, others = built.output / name, [built.output / other for other in {*names} - {name}]
        content = bytearray(expected[name])
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        for damaged in (bytes(content), expected[name][: chance.randrange(len(content))], None):
            path.unlink() if damaged is None else path.write_bytes(damaged)
            before = [other.stat().st_mtime_ns for other in others]
            assert repair(built) == 0, capsys.readouterr().out
            assert contents(built.output) == expected
            assert [other.stat().st_mtime_ns for other in others] == before
    assert "repaired" in capsys.readouterr().out


def test_several_damages_at_once_and_a_stale_shard(built):
    expected = contents(built.output)
    (built.output / "flickr8k-train.tfrecord-00000-of-00002").write_bytes(b"")
    (built.output / "flickr8k-train.index-00000-of-00002").unlink()
    (built.output / "vocab.txt").write_text("gone")
    (built.output / "flickr8k-train.tfrecord-00000-of-00003").write_bytes(b"stale")
    assert len({damage.file for damage in verify_dataset(built.output)}) == 4
    assert repair(built) == 0
    assert contents(built.output) == expected


def test_a_shard_is_not_replaced_by_other_records(built, draw, capsys):
    path = built.output / "flickr8k-val.tfrecord-00000-of-00002"
    damaged = path.read_bytes()[:-3]
    path.write_bytes(damaged)
    for picture in built.images.iterdir():
        picture.write_bytes(draw("black"))
    assert repair(built) == 1
    assert "not repaired: the pictures give" in capsys.readouterr().out
    assert path.read_bytes() == damaged and not (built.output / ".incomplete").exists()


def test_another_source_is_refused(built, capsys):
    (built.output / "vocab.txt").unlink()
    with built.captions.open("a") as file:
        file.write("1.jpg,Another caption\n")
    assert repair(built) == 2
    error = capsys.readouterr().err
    assert "was built from another source" in error and error.count("\n") == 1


def test_repair_needs_the_source(built, capsys):
    assert main(["verify", str(built.output), "--repair"]) == 2
    assert "--images, --captions and --splits" in capsys.readouterr().err


def test_damage_without_repair_names_the_remedy(built, capsys):
    (built.output / "vocab.txt").unlink()
    assert main(["verify", str(built.output)]) == 1
    assert "1 damaged files; repair it with --repair" in capsys.readouterr().out


def test_inspect_finds_records_and_dead_letters(built, tmp_path, capsys):
    saved = tmp_path / "saved.jpg"
    assert main(["inspect", str(built.output), "3.jpg", f"--save={saved}"]) == 0
    shown = capsys.readouterr().out
    assert "Picture 3 , a dog .\n    picture 3 a dog" in shown
    assert saved.read_bytes().startswith(b"\xff\xd8")
    assert main(["inspect", str(built.output), "missing.jpg"]) == 2
    assert "missing.jpg was rejected: missing" in capsys.readouterr().err
    assert main(["inspect", str(built.output), "nobody.jpg"]) == 2
    assert "nobody.jpg is in no split" in capsys.readouterr().err
    assert main(["inspect", str(built.output)]) == 0
    assert "dead letters 1 missing" in capsys.readouterr().out
