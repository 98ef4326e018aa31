import builtins
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from records.errors import UserError
from tfcap.metrics.similarity import load_sentence_encoder, similarity

VECTORS = {
    "east": [2, 0],
    "north": [0, 3],
    "north-east": [1, 1],
    "west": [-1, 0],
    "nowhere": [0, 0],
}


def embed(sentences):
    assert len(set(sentences)) == len(sentences), "each is embedded once"
    return np.array([VECTORS[sentence] for sentence in sentences], np.float32)


def test_best_and_mean_cosine_are_averaged_over_pictures():
    references = {1: ["east", "north"], 2: ["west", "east", "east"], 3: ["north"]}
    found = similarity(embed, references, {2: "east", 1: "north-east"})
    diagonal = np.sqrt(0.5)
    assert found.best == pytest.approx((diagonal + 1) / 2)
    assert found.mean == pytest.approx((diagonal + 1 / 3) / 2)


def test_nothing_is_similar_to_a_vector_of_zeros():
    found = similarity(embed, {1: ["nowhere", "east"]}, {1: "nowhere"})
    assert (found.best, found.mean) == (0, 0)


@pytest.fixture
def model(tmp_path, monkeypatch):
    """What passes for a model's directory."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "0")  # whatever is set is taken back
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM", "."])
def test_what_is_no_model_on_the_disk_is_never_fetched(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UserError, match="is no directory of a sentence-transformers model"):
        load_sentence_encoder(Path(name))


def test_the_absent_package_is_named(model, monkeypatch):
    imported = builtins.__import__

    def without(name, *rest):
        if name == "sentence_transformers":
            raise ModuleNotFoundError(name=name)
        return imported(name, *rest)

    monkeypatch.delitem(sys.modules, "sentence_transformers", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"sentence_transformers: pip install") as refusal:
        load_sentence_encoder(model)
    assert "\n" not in str(refusal.value)


def fake_package(monkeypatch, constructor):
    package = types.ModuleType("sentence_transformers")
    package.SentenceTransformer = constructor
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)


def test_the_package_is_told_to_stay_offline(model, monkeypatch):
    import os

    calls = []

    class Model:
        def __init__(self, path, **flags):
            offline = [os.environ[name] for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")]
            calls.append((path, flags, offline))

        def encode(self, sentences, convert_to_numpy, show_progress_bar):
            return embed(sentences)

    fake_package(monkeypatch, Model)
    encoder = load_sentence_encoder(model)
    assert calls == [(str(model), {"local_files_only": True}, ["1", "1"])]
    assert similarity(encoder, {1: ["east"]}, {1: "east"}).best == pytest.approx(1)


def test_a_broken_model_is_one_line(model, monkeypatch):
    def refuse(path, **flags):
        raise ValueError("Unrecognized model.\nShould have a `model_type` key")

    fake_package(monkeypatch, refuse)
    with pytest.raises(UserError, match=r"Unrecognized model\.\): give") as refusal:
        load_sentence_encoder(model)
    assert "\n" not in str(refusal.value)
