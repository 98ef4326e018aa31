"""Captioning many pictures: rows, dead letters, resumption, refusals."""

import hashlib
import io
import json
import shutil
import sys
import time

import pytest
from apache_beam.runners.portability import local_job_service
from PIL import Image, ImageStat
from stopping import contents, run_and_stop_at
from tiny_export import write_tiny_export

from beam_jobs.caption_images import main
from beam_jobs.captioning import exports, handler
from beam_jobs.captioning.exports import Described
from beam_jobs.captioning.handler import look_ahead
from records.caption_manifest import load_caption_manifest, read_captions

REDS, BLUES = range(150, 250, 20), range(120, 200, 20)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The base directory of an export that names the main colour."""
    base = tmp_path_factory.mktemp("exports")
    write_tiny_export(base / "2")
    return base


@pytest.fixture
def photos(tmp_path, draw):
    """Five red and four blue pictures in two directories, a black one and one that is none."""
    (tmp_path / "photos" / "old").mkdir(parents=True)
    for red in REDS:
        (tmp_path / "photos" / f"red {red}.jpg").write_bytes(draw((red, 9, 0)))
    for blue in BLUES:
        picture = draw((0, 8, blue), format_="PNG")
        (tmp_path / "photos" / "old" / f"bläu-{blue}.png").write_bytes(picture)
    (tmp_path / "photos" / "black.jpg").write_bytes(draw("black"))
    (tmp_path / "photos" / "notes.jpg").write_text("no picture")
    return tmp_path / "photos"


@pytest.fixture
def arguments(photos, model, tmp_path):
    """The command with more options; two shards, batches of two."""

    def made(*more):
        return [
            f"--model={model}",
            f"--images={photos}/**",
            f"--output={tmp_path / 'out'}",
            "--shards=2",
            "--batch-size=2",
            *more,
        ]

    return made


class PlainModel:
    """Says of a picture what the export says, without TensorFlow: for tests of all the rest."""

    def __init__(self, export, embeddings):
        pass

    def describe(self, pictures):
        said = []
        for encoded in pictures:
            colour = ImageStat.Stat(Image.open(io.BytesIO(encoded))).mean
            name = ("red", "green", "blue")[colour.index(max(colour))]
            error = "" if max(colour) > 25 else "image_bytes are black"
            said.append(Described(f"a {name} picture", max(colour) / 255 - 1, None, error))
        return said


@pytest.fixture
def plain_model(monkeypatch):
    monkeypatch.setattr(handler, "CaptionModel", PlainModel)


def rows_of(output):
    return list(read_captions(output, load_caption_manifest(output)))


def failure(capsys, arguments):
    """Run a command that must fail and return its one line of complaint."""
    capsys.readouterr()
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("caption_images: ")]
    assert out == "" and len(lines) == 1 and "Traceback" not in err, err
    return lines[0].removeprefix("caption_images: error: ")


def test_every_picture_gets_a_row_or_a_dead_letter(arguments, photos, tmp_path, capsys):
    assert main(arguments()) == 0
    output = tmp_path / "out"
    assert sorted(contents(output)) == [
        "captions-00000-of-00002.jsonl",
        "captions-00001-of-00002.jsonl",
        "dead_letters.jsonl",
        "manifest.json",
    ]
    lines = [
        [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for path in sorted(output.glob("*-of-*.jsonl"))
    ]
    for shard in lines:
        assert shard and [row["path"] for row in shard] == sorted(row["path"] for row in shard)
    rows = {row["path"]: row for shard in lines for row in shard}
    assert len(rows) == 9
    for path in [*photos.glob("red*"), *photos.glob("old/*")]:
        row = rows[str(path)]
        assert row.keys() == {"path", "sha256", "caption", "log_prob"}
        assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert row["caption"] == f"a {'red' if 'red' in path.name else 'blue'} picture"
        level = int("".join(filter(str.isdigit, path.name)))
        assert row["log_prob"] == pytest.approx(level / 255 - 1, abs=0.01)
    letters = [json.loads(line) for line in (output / "dead_letters.jsonl").open()]
    assert [(letter["key"], letter["reason"]) for letter in letters] == [
        (str(photos / "black.jpg"), "undecodable"),
        (str(photos / "notes.jpg"), "undecodable"),
    ]
    assert letters[0]["detail"] == "by the export: image_bytes are black"
    manifest = load_caption_manifest(output)
    assert (manifest.rows, manifest.rejected, manifest.embedding_size) == (9, 2, None)
    out, err = capsys.readouterr()
    assert "9 captioned, 2 shards" in out and manifest.fingerprint in out and "11/11" in err


def test_records_with_embeddings_hold_the_same_rows(arguments, tmp_path):
    import tensorflow as tf

    more = ["--embeddings", "--format=tfrecord", f"--output={tmp_path / 'records'}"]
    assert main(arguments(*more)) == 0
    assert main(arguments("--embeddings")) == 0
    found = rows_of(tmp_path / "records")
    assert found == rows_of(tmp_path / "out")
    assert load_caption_manifest(tmp_path / "records").embedding_size == 3
    for row in found:
        colour = {"a red picture": 0, "a blue picture": 2}[row.caption]
        assert row.embedding[colour] == max(row.embedding) == pytest.approx(1 + row.log_prob)
    features = {
        "image/path": tf.io.FixedLenFeature([], tf.string),
        "caption/log_prob": tf.io.FixedLenFeature([], tf.float32),
        "image/embedding": tf.io.FixedLenFeature([3], tf.float32),
    }
    shards = sorted(map(str, (tmp_path / "records").glob("*.tfrecord")))
    read = tf.data.TFRecordDataset(shards).map(lambda x: tf.io.parse_single_example(x, features))
    for record, row in zip(read.as_numpy_iterator(), found, strict=True):
        assert record["image/path"].decode() == row.path
        assert record["caption/log_prob"] == row.log_prob
        assert tuple(record["image/embedding"]) == row.embedding


@pytest.mark.timeout(600)
def test_two_workers_write_the_same_bytes(arguments, tmp_path, monkeypatch):
    assert main(arguments("--embeddings")) == 0
    monkeypatch.chdir(tmp_path)
    two = tmp_path / "two"
    assert main(arguments("--embeddings", "--workers=2", f"--output={two}")) == 0
    assert contents(two) == contents(tmp_path / "out")


@pytest.mark.timeout(600)
def test_a_portable_runner_writes_the_same_bytes(arguments, tmp_path):
    service = local_job_service.LocalJobServicer(str(tmp_path / "staging"))
    address = f"localhost:{service.start_grpc_server()}"
    portable = ["--runner=PortableRunner", f"--job_endpoint={address}"]
    portable += ["--environment_type=LOOPBACK", f"--output={tmp_path / 'portable'}"]
    try:
        assert main(arguments("--embeddings", *portable)) == 0
    finally:
        service.stop()
    assert main(arguments("--embeddings")) == 0
    assert contents(tmp_path / "portable") == contents(tmp_path / "out")


def test_stopped_at_any_file_operation_and_run_again_it_ends_in_the_same_bytes(
    plain_model, arguments, tmp_path, monkeypatch
):
    command = arguments("--overwrite", "--shards=1")
    fresh, older, output = tmp_path / "fresh", tmp_path / "older", tmp_path / "out"
    assert main([*command, f"--output={fresh}"]) == 0
    expected = contents(fresh)
    assert main([*command, "--shards=2", f"--output={older}"]) == 0
    for step in range(0, 100, 2):
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(older, output)
        if not run_and_stop_at(monkeypatch, main, command, step):
            break
        if (output / "manifest.json").exists():  # a reader finds all captions, old or new
            assert len(rows_of(output)) == 9
        assert main(command) == 0
        assert contents(output) == expected, f"stopped at step {step}"
    assert 10 < step < 99


def test_only_what_is_missing_goes_through_the_model_again(
    plain_model, arguments, tmp_path, monkeypatch
):
    seen, loads = [], []

    class Failing(PlainModel):
        def __init__(self, *given):
            loads.append(given)

        def describe(self, pictures):
            seen.extend(pictures)
            if len(loads) == 1 and len(seen) > 6:
                raise OSError(5, "Input/output error")
            return super().describe(pictures)

    monkeypatch.setattr(handler, "CaptionModel", Failing)
    more = ["--shards=3", "--batch-size=1"]
    assert main(arguments(*more)) == 2
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / ".incomplete"]
    done = len(list((tmp_path / "out" / ".incomplete").glob("receipt-*")))
    assert done in (1, 2)
    kept = sum(
        len(path.read_bytes().splitlines())
        for path in (tmp_path / "out" / ".incomplete").glob("captions-*")
    )
    seen.clear()
    assert main(arguments(*more)) == 0
    assert len(rows_of(tmp_path / "out")) == 9
    assert len(seen) < 10 and kept + len(seen) in (9, 10)  # the black one in either part
    assert len(loads) == 2  # one of each run, for all its shards


def test_a_picture_that_vanishes_under_way_is_a_dead_letter(
    plain_model, arguments, photos, monkeypatch, capsys
):
    make_ready = handler.make_ready

    def vanish(path, spec):
        (photos / "red 150.jpg").unlink(missing_ok=True)
        return make_ready(path, spec)

    monkeypatch.setattr(handler, "make_ready", vanish)
    assert main(arguments()) == 0
    assert "1 missing, 2 undecodable" in capsys.readouterr().out


def test_a_large_file_is_not_read(plain_model, arguments, photos, monkeypatch, capsys):
    monkeypatch.setattr("beam_jobs.stores.MAX_BYTES", 1000)
    (photos / "large.jpg").write_bytes(bytes(1001))
    assert main(arguments()) == 0
    assert "1 too_large, 2 undecodable" in capsys.readouterr().out


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


def test_remote_files_give_the_same_rows(arguments, photos, model, tmp_path, memory):
    """Pictures, the export and the captions all on a file system of the cloud's kind."""
    for root, name in ((photos, "photos"), (model, "model")):
        for path, content in contents(root).items():
            memory[f"mem://b/{name}/{path}"] = content
    remote = ["--model=mem://b/model/", "--images=mem://b/photos/**", "--output=mem://b/out"]
    assert main(arguments(*remote)) == 0
    assert main(arguments()) == 0
    lines = b"".join(
        content for path, content in memory.items() if path.startswith("mem://b/out/captions-")
    )
    found = {
        row["path"].removeprefix("mem://b/photos"): row
        for row in map(json.loads, lines.split(b"\n")[:-1])
    }
    for row in rows_of(tmp_path / "out"):
        same = found.pop(row.path.removeprefix(str(photos)))
        assert (same["sha256"], same["caption"]) == (row.sha256, row.caption)
    assert not found and not any(".incomplete" in path for path in memory)


def test_a_dry_run_shows_the_job_and_writes_nothing(arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(exports.CaptionModel, "__init__", lambda *_: pytest.fail("model loaded"))
    before = sorted(tmp_path.rglob("*"))
    assert main(arguments("--dry-run")) == 0
    shown = capsys.readouterr().out
    for part in ("Match pictures", "Caption pictures", "pictures  11", "shards    2"):
        assert part in shown
    assert sorted(tmp_path.rglob("*")) == before


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


def test_threads_ahead_keep_the_order_and_the_bound():
    started, taken = [], []

    def slow_first(number):
        started.append(number)
        assert number - len(taken) <= 5
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number

    for number in look_ahead(slow_first, range(20), threads=4, ahead=4):
        taken.append(number)
    assert taken == list(range(20)) and sorted(started) == taken
