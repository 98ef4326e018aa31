"""What trains, what comes of it, and what `evaluate`, `export` and `caption` make of that."""

import json
import re
import shutil

import pytest
import tensorflow as tf
from tiny import main, predict, train

from beam_jobs.build_records import main as build_records
from records.errors import UserError
from records.files import write_whole
from tfcap import runs
from tfcap.captioner import load_captioner


def figures(run):
    return json.loads((run / runs.METRICS).read_text())["epochs"]


def test_a_run_directory_is_whole(run):
    names = {path.name for path in run.iterdir()}
    assert names == {
        *(runs.CONFIG, runs.VOCABULARY, runs.ENCODER, runs.DECODER),
        *(runs.CHECKPOINTS, runs.METRICS, runs.SAMPLES, runs.LOGS, runs.TIMES),
    }
    assert [epoch["epoch"] for epoch in figures(run)] == [1, 2]
    assert len(runs.read_times(run)) == 2 and min(runs.read_times(run)) > 0
    samples = json.loads((run / runs.SAMPLES).read_text())
    assert all(set(sample["epochs"]) == {"1", "2"} for sample in samples.values())


@pytest.mark.parametrize("place", ["pipeline", "cache"])
def test_all_epochs_go_through_the_same_datasets(dataset, tmp_path, monkeypatch, place):
    """TensorFlow keeps something of every dataset for ever: what is made in an epoch adds up."""
    made, map_dataset = [], tf.data.Dataset.map
    monkeypatch.setattr(
        tf.data.Dataset, "map", lambda *args, **rest: made.append(1) or map_dataset(*args, **rest)
    )
    counts = []
    for epochs in ("1", "1", "3"):  # the first one may write stored features
        made.clear()
        flags = ("--epochs", epochs, "--encoder-on", place)
        assert train(dataset, tmp_path / f"run{len(counts)}", *flags) == 0
        counts.append(len(made))
    assert counts[1] == counts[2] > 0


def test_every_epoch_is_kept_if_asked_for(dataset, tmp_path):
    run = tmp_path / "run"
    flags = ("--keep-epochs", "--fine-tune-epochs", "1", "--fine-tune-rate", "0.1")
    assert train(dataset, run, *flags) == 0
    best, *epochs = (load_captioner(run, epoch) for epoch in (None, 1, 2))
    number = 1 + max((0, 1), key=lambda epoch: figures(run)[epoch]["val_CIDEr"])
    for part in ("encoder", "decoder"):
        first, last, chosen = (
            [weight.numpy() for weight in getattr(each, part).weights] for each in (*epochs, best)
        )
        assert any((a != b).any() for a, b in zip(first, last, strict=True))
        theirs = (first, last)[number - 1]
        assert all((a == b).all() for a, b in zip(theirs, chosen, strict=True))
    with pytest.raises(UserError, match="has not kept epoch 3"):
        load_captioner(run, 3)


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


def test_a_decoder_of_pooled_features_is_trained_and_exported(dataset, tmp_path, capsys):
    run, base, features = (tmp_path / name for name in ("run", "base", "features"))
    flags = ["--pooled", "--decoder", "merge", "--encoder-on", "cache", "--epochs", "1"]
    flags += ["--feature-cache", str(features)]
    assert train(dataset, run, *flags) == 0
    assert train(dataset, run, *flags) == 0  # loads what it has written
    assert train(dataset, tmp_path / "whole", *flags[3:]) == 0
    assert len({path.parent for path in features.glob("*/manifest.json")}) == 4
    assert main(["export", "--run", str(run), "--output", str(base)]) == 0
    capsys.readouterr()
    results = []
    for model in (["--run", str(run)], ["--model", str(base)]):
        assert main(["evaluate", *model, "--dataset", str(dataset)]) == 0
        results.append(capsys.readouterr().out)
    assert results[0] == results[1]


def test_a_run_evaluates_with_beams_as_its_export_with_beams(dataset, run, tmp_path, capsys):
    beams, base = ["--beams", "3", "--length-penalty", "0.5", "--no-repeat", "2"], tmp_path / "base"
    assert main(["export", "--run", str(run), "--output", str(base), *beams]) == 0
    results = []
    for flags in (["--run", str(run), *beams], ["--model", str(base)]):
        results.append(predict(dataset, tmp_path / "predictions.json", *flags))
        assert "|search:beams=3,length_penalty=0.5,no_repeat=2|" in capsys.readouterr().out
    assert results[0] == results[1]
    assert main(["evaluate", "--model", str(base), "--dataset", str(dataset), *beams]) == 2
    assert "as it was exported" in capsys.readouterr().err


def test_more_is_measured_on_request(dataset, run, tmp_path):
    path = tmp_path / "scores.json"
    command = ["evaluate", "--run", str(run), "--dataset", str(dataset), "--json", str(path)]
    assert main([*command, "--human", "--trained-on", str(dataset)]) == 0
    content = json.loads(path.read_text())
    captions = [each["caption"] for each in content["per_picture"].values()]
    # The training split has pictures of all colours, with captions of all forms.
    forms = ("a {} square", "the square is {}", "{}")
    known = {form.format(colour) for form in forms for colour in ("red", "green", "blue")}
    novel = [caption not in known for caption in captions]
    assert content["diversity"]["novel"] == pytest.approx(sum(novel) / len(novel))
    words = {word for caption in captions for word in caption.split()}
    assert content["diversity"]["vocabulary_used"] == pytest.approx(len(words) / 7)
    assert content["human"]["count"] == 6
    assert "|search:greedy|" in content["signature"] and "|dataset:" in content["signature"]


@pytest.mark.parametrize(
    "flags", [["--beams", "0"], ["--no-repeat", "-1"], ["--length-penalty", "1"]], ids=" ".join
)
def test_a_search_that_makes_no_sense_is_refused(dataset, run, capsys, flags):
    assert main(["evaluate", "--run", str(run), "--dataset", str(dataset), *flags]) == 2
    assert flags[0][2:].replace("-", "_") in capsys.readouterr().err.splitlines()[-1]


def test_pictures_and_captions_evaluate_as_their_records_do(dataset, run, tmp_path, capsys):
    source = dataset.parent
    broken = source / "Images" / "17.jpg"
    model = ["evaluate", "--run", str(run)]
    files = ["--images", str(source / "Images"), "--captions", str(source / "captions.txt")]
    ids = ["--ids", str(source / "Flickr_8k.devImages.txt")]
    assert main([*model, "--dataset", str(dataset)]) == 0
    from_records = capsys.readouterr().out
    assert main([*model, *files, *ids]) == 0
    # The signatures differ in this alone: files have no fingerprint.
    dataset_field = re.compile(r"\|dataset:flickr8k/val@[0-9a-f]{12}")
    assert capsys.readouterr().out == dataset_field.sub("", from_records) != from_records
    whole = broken.read_bytes()
    try:
        broken.write_bytes(whole[:100])
        assert main([*model, *files, *ids]) == 0
        captured = capsys.readouterr()
    finally:
        broken.write_bytes(whole)
    assert re.search("^left out +1$", captured.out, re.MULTILINE)
    assert "17.jpg: left out" in captured.err


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
