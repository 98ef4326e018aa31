"""`tfcap average`: the mean of runs is a run."""

import json
import shutil
from unittest import mock

import numpy as np
import pytest
import tiny

from tfcap import runs
from tfcap.captioner import load_captioner
from tfcap.cli.main import main
from tfcap.encoders import ENCODERS


@pytest.fixture(scope="module")
def other(dataset, run, tmp_path_factory):
    """A run that went on from the first, its encoder too."""
    directory = tmp_path_factory.mktemp("other") / "run"
    flags = ("--from", str(run), "--fine-tune-epochs", "1", "--fine-tune-rate", "0.01")
    assert tiny.train(dataset, directory, *flags, "--epochs", "1") == 0
    return directory


@pytest.fixture(scope="module")
def mean(run, other, tmp_path_factory):
    directory = tmp_path_factory.mktemp("mean") / "run"
    with mock.patch.dict(ENCODERS, {tiny.NAME: tiny.build_tiny}):
        assert main(["average", str(run), str(other), "--run", str(directory)]) == 0
    return directory


def weights_of(run, part):
    return [weight.numpy() for weight in getattr(load_captioner(run), part).weights]


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_weights_are_the_mean(run, other, mean, part):
    ones, others, means = (weights_of(each, part) for each in (run, other, mean))
    assert any((a != b).any() for a, b in zip(ones, others, strict=True))
    for a, b, found in zip(ones, others, means, strict=True):
        if np.issubdtype(a.dtype, np.floating):
            np.testing.assert_allclose(found, (a + b) / 2, rtol=1e-6)


def test_it_says_whose_mean_it_is(run, other, mean):
    found = json.loads((mean / runs.AVERAGE).read_text())["runs"]
    assert [each["run"] for each in found] == [str(run), str(other)]
    assert found[0]["decoder_sha256"] == runs.weights_fingerprint(str(run / runs.DECODER))


def test_it_is_evaluated_exported_and_trained_from(dataset, mean, tmp_path):
    page = tmp_path / "page.html"
    tiny.predict(dataset, tmp_path / "found.json", "--run", str(mean), "--html", str(page))
    assert "whose weights were kept" not in page.read_text()  # there are no epochs to show
    assert main(["export", "--run", str(mean), "--output", str(tmp_path / "base")]) == 0
    assert tiny.train(dataset, tmp_path / "on", "--from", str(mean), "--epochs", "1") == 0


def test_training_does_not_go_on_in_it(dataset, mean, capsys):
    assert tiny.train(dataset, mean) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"{mean} is the mean of other runs: go on --from {mean}" in said


def test_runs_that_do_not_go_together_are_named(dataset, run, tmp_path, capsys):
    wider = tmp_path / "wider"
    assert tiny.train(dataset, wider, "--units", "24", "--epochs", "1") == 0
    assert main(["average", str(run), str(wider), "--run", str(tmp_path / "mean")]) == 2
    assert f"{wider} does not go with the others, it differs in: model" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"wider"}


@pytest.mark.parametrize(
    ("count", "there", "said"),
    [(1, False, "is its own mean"), (2, True, "exists: give --run a new directory")],
)
def test_mistakes_are_one_line(run, tmp_path, capsys, count, there, said):
    target = tmp_path / "mean"
    if there:
        shutil.copytree(run, target)
    assert main(["average", *[str(run)] * count, "--run", str(target)]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_run_without_an_epoch_is_named(run, tmp_path, capsys):
    empty = tmp_path / "empty"
    shutil.copytree(run, empty)
    (empty / runs.DECODER).unlink()
    assert main(["average", str(run), str(empty), "--run", str(tmp_path / "mean")]) == 2
    assert f"{empty} has no trained epoch yet" in capsys.readouterr().err
