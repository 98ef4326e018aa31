"""Runs that are stopped, and what the next run makes of what they left."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stopping import contents, run_and_stop_at

from beam_jobs import shard_writer
from beam_jobs.build_records import main
from records.manifest import load_manifest
from records.verify import verify_dataset

REPOSITORY = Path(__file__).resolve().parents[2]


def test_stopped_at_any_file_operation_and_run_again_it_ends_in_the_same_bytes(
    small_source, tmp_path, monkeypatch
):
    small_source.add("missing.jpg", "train")
    arguments = small_source.arguments("--overwrite")
    assert main([*arguments, f"--output={tmp_path / 'fresh'}"]) == 0
    expected = contents(tmp_path / "fresh")
    older = tmp_path / "older"
    assert main(small_source.arguments("--name=older", f"--output={older}")) == 0
    steps = 0
    while True:
        shutil.rmtree(small_source.output, ignore_errors=True)
        shutil.copytree(older, small_source.output)
        if not run_and_stop_at(monkeypatch, main, arguments, steps):
            break
        manifest = small_source.output / "manifest.json"
        if manifest.exists():  # a reader finds a whole dataset, the old one or the new one
            assert verify_dataset(small_source.output) == []
        assert main(arguments) == 0
        assert contents(small_source.output) == expected, f"stopped at step {steps}"
        steps += 1
    assert steps > 20


def test_only_missing_shards_are_written_again(small_source, monkeypatch, capsys):
    arguments = small_source.arguments("--shards-per-split=3")
    written = []
    write_records = shard_writer.write_records

    def failing(output, payloads):
        if len(written) == 4:
            raise OSError(5, "Input/output error")
        written.append(output)
        return write_records(output, payloads)

    monkeypatch.setattr(shard_writer, "write_records", failing)
    assert main(arguments) == 2
    assert "4 of 6 shards are kept, the same command goes on" in capsys.readouterr().err
    assert not list(small_source.output.glob("*"))[1:]  # but the staging directory
    monkeypatch.setattr(
        shard_writer,
        "write_records",
        lambda output, payloads: (written.append(output), write_records(output, payloads))[1],
    )
    assert main(arguments) == 0
    assert len(written) == 6
    assert verify_dataset(small_source.output) == []


def test_a_staged_shard_that_the_disk_lost_is_written_again(small_source, monkeypatch):
    arguments = small_source.arguments("--shards-per-split=2")
    assert run_and_stop_at(monkeypatch, main, arguments, 16)
    staged = sorted(small_source.output.glob(".incomplete/*.tfrecord-*"))
    assert staged
    staged[0].write_bytes(staged[0].read_bytes()[:-1])
    assert main(arguments) == 0
    assert verify_dataset(small_source.output) == []


def test_an_unfinished_build_is_not_mixed_with_other_options(small_source, monkeypatch, capsys):
    assert run_and_stop_at(monkeypatch, main, small_source.arguments(), 8)
    capsys.readouterr()
    assert main(small_source.arguments("--quality=50")) == 2
    assert "picture quality 90 there, 50 now" in capsys.readouterr().err
    with small_source.captions.open("a") as file:
        file.write("1.jpg,Another caption\n")
    assert main(small_source.arguments()) == 2
    assert "captions and splits" in capsys.readouterr().err
    assert main(small_source.arguments("--overwrite")) == 0
    assert verify_dataset(small_source.output) == []


def test_a_finished_dataset_is_left_as_it_is(small_source, capsys):
    assert main(small_source.arguments()) == 0
    before = contents(small_source.output)
    assert main(small_source.arguments()) == 0
    assert "already built" in capsys.readouterr().out
    assert contents(small_source.output) == before


def test_retry_failed_reads_only_the_rejected_pictures(small_source, tmp_path, draw, monkeypatch):
    good = draw("blue")
    for key, picture in (("gone.jpg", None), ("cut.jpg", good[:-30]), ("bad.jpg", b"no picture")):
        small_source.add(key, "train", ["A blue wall", "..."], picture)
    arguments = small_source.arguments("--shards-per-split=2")
    assert main(arguments) == 0
    assert load_manifest(small_source.output).rejected == 3
    (small_source.images / "gone.jpg").write_bytes(good)
    (small_source.images / "cut.jpg").write_bytes(good)
    for path in small_source.images.glob("[0-9]*"):
        path.unlink()  # good records need no picture any more
    assert main([*arguments, "--retry-failed"]) == 0
    assert verify_dataset(small_source.output) == []
    for number in range(16):
        (small_source.images / f"{number}.jpg").write_bytes(draw((number * 15, 80, 90)))
    assert main([*arguments, f"--output={tmp_path / 'fresh'}"]) == 0
    assert contents(small_source.output) == contents(tmp_path / "fresh")
    assert load_manifest(small_source.output).dead_letters == {"caption_empty": 3, "undecodable": 1}


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--retry-failed"], "nothing to retry"),
        (["--retry-failed", "--overwrite"], "not allowed with argument"),
        (["--max-bad=many"], "'many' is neither a number of pictures nor a percentage"),
        (["--max-bad=200%"], "'200%' is neither"),
        (["--max-bad=-1"], "'-1' is neither"),
    ],
)
def test_wrong_options(small_source, capsys, more, complaint):
    assert main(small_source.arguments(*more)) == 2
    assert complaint in capsys.readouterr().err
    assert not small_source.output.exists()


def test_retry_with_other_options_is_refused(small_source, capsys):
    assert main(small_source.arguments()) == 0
    assert main(small_source.arguments("--retry-failed", "--image-size=32")) == 2
    assert "picture size 64 there, 32 now" in capsys.readouterr().err


@pytest.mark.parametrize(("budget", "code"), [("2", 2), ("3", 0), ("15%", 2), ("16%", 0)])
def test_a_budget_for_bad_pictures(small_source, capsys, budget, code):
    for number in range(3):
        small_source.add(f"gone{number}.jpg", "train")
    assert main(small_source.arguments(f"--max-bad={budget}")) == code
    assert (small_source.output / "manifest.json").exists() == (code == 0)
    if code:
        error = capsys.readouterr().err
        assert "3 of 19 pictures (15.79%) were rejected, more than --max-bad" in error
        assert "Traceback" not in error


def test_past_the_budget_good_shards_are_kept_for_a_retry(small_source, draw, capsys):
    small_source.add("gone.jpg", "train")
    arguments = small_source.arguments("--max-bad=0")
    assert main(arguments) == 2
    assert main(arguments) == 2
    (small_source.images / "gone.jpg").write_bytes(draw("red"))
    assert main([*arguments, "--retry-failed"]) == 0
    assert verify_dataset(small_source.output) == []
    assert not (small_source.output / ".incomplete").exists()


def test_two_builds_never_write_one_directory(small_source, capsys):
    import fcntl

    small_source.output.mkdir()
    handle = os.open(small_source.output, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        assert main(small_source.arguments()) == 2
        assert "another build is writing" in capsys.readouterr().err
    finally:
        os.close(handle)
    assert main(small_source.arguments()) == 0


def start(source, *more):
    command = [sys.executable, "-m", "beam_jobs.build_records", *source.arguments(*more)]
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=os.environ | {"TMPDIR": str(source.root)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_a_shard(source):
    deadline = time.monotonic() + 60
    while not list(source.output.glob(".incomplete/receipt-*")) and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_whole_shards_and_the_same_command_goes_on(source, draw, workers):
    picture = draw("red", (2400, 1800))
    for number in range(200):
        source.add(f"{number}.jpg", "train", ["A dog"], picture)
    more = ["--shards-per-split=16", f"--workers={workers}"]
    process = start(source, *more)
    wait_for_a_shard(source)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err and "of 16 shards are kept, the same command goes on" in err
    assert [path.name for path in source.output.iterdir()] == [".incomplete"]
    assert not (source.output / ".incomplete" / "attempts").exists()
    assert not list(source.root.glob("build_records-*"))
    assert main(source.arguments(*more)) == 0
    assert verify_dataset(source.output) == []


def test_killed_with_two_workers_no_worker_goes_on(source, draw):
    picture = draw("red", (2400, 1800))
    for number in range(200):
        source.add(f"{number}.jpg", "train", ["A dog"], picture)
    process = start(source, "--shards-per-split=16", "--workers=2")
    wait_for_a_shard(source)
    process.kill()  # the launcher alone
    process.communicate(timeout=60)
    time.sleep(2)
    before = contents(source.output)
    time.sleep(random.uniform(1, 2))
    assert contents(source.output) == before
    assert main(source.arguments("--shards-per-split=16")) == 0
    assert verify_dataset(source.output) == []
