"""Training, resuming, evaluating and captioning on a tiny dataset, through the command."""

import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.build_records import main as build_records
from records.files import write_whole
from tfcap import runs, training
from tfcap.cli.main import main
from tfcap.config import TrainingSpec

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 60, 220)}
SMALL = [
    "--units",
    "16",
    "--embedding",
    "8",
    "--epochs",
    "2",
    "--batch-size",
    "4",
    "--encoder-weights",
    "none",
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Records of 18 one-colour pictures: 12 to train, 6 to validate."""
    from PIL import Image

    source = tmp_path_factory.mktemp("source")
    (source / "Images").mkdir()
    rows, names = ["image,caption"], []
    for number in range(18):
        colour = list(COLOURS)[number % 3]
        names.append(f"{number:02}.jpg")
        Image.new("RGB", (64, 64), COLOURS[colour]).save(source / "Images" / names[-1])
        captions = [f"A {colour} square.", f"The square is {colour}", f"{colour}!"]
        rows += [f"{names[-1]},{caption}" for caption in captions]
    (source / "captions.txt").write_text("\n".join(rows) + "\n")
    (source / "Flickr_8k.trainImages.txt").write_text("\n".join(names[:12]))
    (source / "Flickr_8k.devImages.txt").write_text("\n".join(names[12:]))
    output = source / "dataset"
    flags = {"images": source / "Images", "captions": source / "captions.txt", "splits": source}
    given = [word for flag, value in flags.items() for word in (f"--{flag}", str(value))]
    sizes = ["--image-size", "64", "--min-count", "1", "--shards-per-split", "2"]
    assert build_records([*given, *sizes, "--output", str(output)]) == 0
    return output


def train(dataset, run, *flags):
    return main(["train", "--dataset", str(dataset), "--run", str(run), *SMALL, *flags])


def figures(run):
    return json.loads((run / runs.METRICS).read_text())["epochs"]


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    """A run that went to its end undisturbed."""
    directory = tmp_path_factory.mktemp("run") / "whole"
    assert train(dataset, directory) == 0
    return directory


def test_a_run_directory_is_whole(run):
    names = {path.name for path in run.iterdir()}
    assert names == {
        *(runs.CONFIG, runs.VOCABULARY, runs.ENCODER, runs.DECODER),
        *(runs.CHECKPOINTS, runs.METRICS, runs.SAMPLES, runs.LOGS),
    }
    assert [epoch["epoch"] for epoch in figures(run)] == [1, 2]
    samples = json.loads((run / runs.SAMPLES).read_text())
    assert all(set(sample["epochs"]) == {"1", "2"} for sample in samples.values())


def test_an_interrupted_run_goes_on_as_if_undisturbed(dataset, run, tmp_path, monkeypatch):
    """Ctrl-C in the middle of the second epoch, then the same command again."""
    directory = tmp_path / "interrupted"
    step = training.Training._train_step
    seen = []

    def noting(self, features, inputs, targets):
        if directory.exists() and len(seen) == 4 and not resumed:  # three steps an epoch
            raise KeyboardInterrupt
        seen.append(targets.numpy().tolist())
        return step.__get__(self, type(self))(features, inputs, targets)

    monkeypatch.setattr(training.Training, "_train_step", noting)
    resumed = False
    assert train(dataset, directory) == 130
    assert len(figures(directory)) == 1
    resumed = True
    assert train(dataset, directory) == 0
    in_two_parts, seen = seen, []
    assert train(dataset, tmp_path / "undisturbed") == 0
    assert in_two_parts == seen and len(seen) == 6
    steps = tf.train.load_variable(
        directory / runs.CHECKPOINTS, "optimizer/_iterations/.ATTRIBUTES/VARIABLE_VALUE"
    )
    assert steps == 6
    # Not equal to the bit: sums over threads differ in their last digits, and Adam magnifies them.
    np.testing.assert_allclose(figures(directory)[1]["val_loss"], figures(run)[1]["val_loss"], 1e-3)


def test_a_run_with_other_settings_is_refused(dataset, run, capsys):
    assert train(dataset, run, "--learning-rate", "0.5") == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "training.learning_rate: 0.001 / 0.5" in message


def test_a_finished_run_stays_as_it_is(dataset, run, capsys):
    before = figures(run)
    assert train(dataset, run) == 0
    assert figures(run) == before
    assert "best epoch" in capsys.readouterr().out


def test_a_wrong_weights_file_leaves_nothing_behind(dataset, tmp_path, capsys):
    write_whole(tmp_path / "wrong.h5", b"no weights")
    flags = ["--encoder-weights", str(tmp_path / "wrong.h5")]
    assert train(dataset, tmp_path / "run", *flags) == 2
    assert "wrong.h5" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_run_and_export_evaluate_alike(dataset, run, tmp_path, capsys):
    assert main(["export", "--run", str(run), "--output", str(tmp_path / "base")]) == 0
    results = []
    for flags in (["--run", str(run)], ["--model", str(tmp_path / "base")]):
        predictions = tmp_path / f"{flags[0][2:]}.json"
        command = ["evaluate", *flags, "--dataset", str(dataset), "--split", "val"]
        assert main([*command, "--predictions", str(predictions)]) == 0
        printed = re.findall(r"^(\S+) +([\d.]+)", capsys.readouterr().out, re.MULTILINE)
        results.append((json.loads(predictions.read_text()), dict(printed)))
    assert results[0][0] == results[1][0]
    scores = results[0][1]
    assert scores["pictures"] == "6"
    best = max(figures(run), key=lambda epoch: epoch["val_CIDEr"])
    assert float(scores["CIDEr-D"]) == pytest.approx(best["val_CIDEr"], abs=1e-3)


def test_pictures_and_captions_evaluate_as_their_records_do(dataset, run, tmp_path, capsys):
    source = dataset.parent
    broken = source / "Images" / "17.jpg"
    model = ["evaluate", "--run", str(run)]
    files = ["--images", str(source / "Images"), "--captions", str(source / "captions.txt")]
    ids = ["--ids", str(source / "Flickr_8k.devImages.txt")]
    assert main([*model, "--dataset", str(dataset)]) == 0
    from_records = capsys.readouterr().out
    assert main([*model, *files, *ids]) == 0
    assert capsys.readouterr().out == from_records
    whole = broken.read_bytes()
    try:
        broken.write_bytes(whole[:100])
        assert main([*model, *files, *ids]) == 0
        captured = capsys.readouterr()
    finally:
        broken.write_bytes(whole)
    assert "left out  1" in captured.out and "17.jpg: left out" in captured.err


def test_caption_names_what_it_cannot_caption(dataset, run, tmp_path, capsys):
    base = tmp_path / "base"
    assert main(["export", "--run", str(run), "--output", str(base), "--portable"]) == 0
    good = dataset.parent / "Images" / "03.jpg"
    write_whole(tmp_path / "bad.jpg", b"no picture")
    capsys.readouterr()
    pictures = [str(tmp_path / "bad.jpg"), str(good), str(tmp_path / "absent.jpg")]
    assert main(["caption", "--model", str(base), *pictures]) == 2
    captured = capsys.readouterr()
    assert [line.split("\t")[0] for line in captured.out.splitlines()] == [str(good)]
    assert "bad.jpg: left out" in captured.err and "absent.jpg: left out" in captured.err


def test_another_preprocessing_is_refused_with_both_hashes(dataset, run, tmp_path, capsys):
    source = dataset.parent
    flags = ["--images", str(source / "Images"), "--captions", str(source / "captions.txt")]
    other = [*flags, "--splits", str(source), "--image-size", "32", "--output", str(tmp_path / "d")]
    assert build_records(other) == 0
    assert main(["evaluate", "--run", str(run), "--dataset", str(tmp_path / "d")]) == 2
    message = capsys.readouterr().err
    assert len(set(re.findall(r"\b[0-9a-f]{16}\b", message))) == 2


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_damaged_record_is_one_line_and_exit_code_2(dataset, run, tmp_path, capsys, split):
    damaged = tmp_path / "dataset"
    shutil.copytree(dataset, damaged)
    shard = max(damaged.glob(f"*-{split}.tfrecord-*"), key=lambda path: path.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[200] ^= 1
    shard.write_bytes(content)
    assert train(damaged, tmp_path / "run") == 2
    assert "tfcap verify" in capsys.readouterr().err.strip().splitlines()[-1]
    evaluate = ["evaluate", "--run", str(run), "--dataset", str(damaged), "--split", split]
    assert main(evaluate) == 2
    assert shard.name in capsys.readouterr().err.strip().splitlines()[-1]
    assert main(["verify", str(damaged)]) == 1
    shard.unlink()
    assert main(evaluate) == 2
    assert shard.name in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("ciders", "epochs", "settled"),
    [([], 5, False), ([0.1], 1, True), ([0.3, 0.2, 0.1], 9, True), ([0.3, 0.2], 9, False)],
)
def test_training_is_settled(ciders, epochs, settled):
    history = [{"val_CIDEr": cider} for cider in ciders]
    assert training.is_settled(history, TrainingSpec(epochs=epochs, patience=2)) is settled


def test_learning_rate_rises_and_falls():
    spec = TrainingSpec(epochs=4, warmup_epochs=1, learning_rate=0.1)
    schedule = training.learning_rate_schedule(spec, steps_per_epoch=10)
    rates = [float(schedule(step)) for step in range(41)]
    assert rates[0] == 0 and rates[10] == pytest.approx(0.1) and rates[40] == pytest.approx(0)
    assert rates[:11] == sorted(rates[:11]) and rates[10:] == sorted(rates[10:], reverse=True)
