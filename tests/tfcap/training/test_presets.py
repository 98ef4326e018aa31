"""Every preset trains, evaluates and exports, here with an encoder that is traced in no time."""

import json

import pytest
import tiny

from records.vocabulary import Vocabulary
from tfcap import runs
from tfcap.captioner import load_captioner
from tfcap.encoders import ENCODERS
from tfcap.presets import PRESETS
from tfcap.word_vectors import read_glove


@pytest.fixture
def glove(dataset, tmp_path):
    """A file of vectors as wide as the presets want, for all words but one."""
    _, *words = Vocabulary.read(dataset / runs.VOCABULARY).words[4:]
    path = tmp_path / "glove.txt"
    path.write_text("".join(f"{word}{f' {len(word)}.5' * 50}\n" for word in words))
    return path


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_goes_all_the_way(name, dataset, glove, tmp_path, capsys):
    preset = PRESETS[name]
    assert preset.model.encoder in ENCODERS
    run, base = tmp_path / "run", tmp_path / "base"
    command = ["train", "--preset", name, "--dataset", str(dataset), "--run", str(run)]
    command += ["--encoder", tiny.NAME, "--encoder-weights", "none"]
    command += ["--epochs", "1", "--batch-size", "4"]
    if preset.wants_vectors:
        assert tiny.main(command) == 2
        assert "give --glove FILE" in capsys.readouterr().err
        command += ["--glove", str(glove)]
    assert tiny.main(command) == 0
    config = json.loads((run / runs.CONFIG).read_text())
    assert config["model"]["decoder"] == preset.model.decoder.to_dict()
    assert config["training"]["optimizer"] == preset.training.optimizer.to_dict()
    assert tiny.main(["export", "--run", str(run), "--output", str(base), "--beams", "2"]) == 0
    path = tmp_path / "predictions.json"
    own = tiny.predict(dataset, path, "--run", str(run), "--beams", "2")
    assert tiny.predict(dataset, path, "--model", str(base)) == own


def test_a_training_begins_with_the_word_vectors(dataset, glove, tmp_path, capsys):
    flags = ["--glove", str(glove), "--embedding", "50", "--learning-rate", "1e-9"]
    assert tiny.train(dataset, tmp_path / "run", *flags) == 0
    vectors = read_glove(glove, Vocabulary.read(dataset / runs.VOCABULARY))
    trained = load_captioner(tmp_path / "run").decoder.word_vectors.numpy()
    assert abs(trained[vectors.rows] - vectors.values).max() < 1e-3
    assert tiny.train(dataset, tmp_path / "plan", *flags, "--dry-run") == 0
    assert f"{len(vectors.rows)} of {vectors.words} words have vectors" in capsys.readouterr().out
    assert tiny.train(dataset, tmp_path / "narrow", "--glove", str(glove)) == 2
    assert "give --embedding 50" in capsys.readouterr().err


def test_an_unknown_preset_and_two_bases_are_refused(dataset, run, tmp_path, capsys):
    command = ["train", "--dataset", str(dataset), "--run", str(tmp_path / "new")]
    assert tiny.main([*command, "--preset", "fame"]) == 2
    assert "choose one of mobilenet-rnn, " in capsys.readouterr().err
    assert tiny.main([*command, "--preset", "best", "--from", str(run)]) == 2
    assert "--from and --preset each give all settings" in capsys.readouterr().err
