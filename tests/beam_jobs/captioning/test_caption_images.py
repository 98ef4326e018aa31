"""Captioning many pictures: rows, dead letters, runners, resumption."""

import hashlib
import json
import shutil

import pytest
from apache_beam.runners.portability import local_job_service
from stopping import contents, run_and_stop_at

from beam_jobs.caption_images import main
from beam_jobs.captioning import exports, handler
from records.caption_manifest import load_caption_manifest, read_captions


def rows_of(output):
    return list(read_captions(output, load_caption_manifest(output)))


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

    class Failing(plain_model):
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
