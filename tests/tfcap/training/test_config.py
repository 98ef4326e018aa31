"""`config.json`, the flags that make it, and dry runs."""

import json

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from records.captions import CaptionSpec
from records.errors import UserError
from records.pictures import PictureSpec
from tfcap import runs
from tfcap.augment import AugmentSpec
from tfcap.config import (
    ExecutionSpec,
    FineTuneSpec,
    ModelSpec,
    OptimizerSpec,
    RunConfig,
    TrainingSpec,
)
from tfcap.decoders import LSTMAttentionSpec, TransformerSpec


def config_of(training=TrainingSpec(), decoder=LSTMAttentionSpec(), **fields):  # noqa: B008
    model = ModelSpec("mobilenet_v3_small", "none", decoder)
    specs = (PictureSpec(), CaptionSpec(), model, training)
    return RunConfig("f" * 64, "none", *specs, **{"dataset": "/data", **fields})


@given(
    st.builds(
        TrainingSpec,
        epochs=st.integers(3, 9),
        average=st.floats(0, 0.999),
        precision=st.sampled_from(["float32", "bfloat16"]),
        optimizer=st.builds(OptimizerSpec, schedule=st.sampled_from(["cosine", "plateau"])),
        augment=st.builds(AugmentSpec, crop=st.floats(0, 0.9)),
        fine_tune=st.one_of(
            st.just(FineTuneSpec()),
            st.builds(FineTuneSpec, epochs=st.integers(1, 3), blocks=st.integers(0, 9)),
        ),
    ),
    st.sampled_from([LSTMAttentionSpec(units=8), TransformerSpec(layers=3)]),
)
def test_a_configuration_survives_the_way_through_its_file(training, decoder):
    import tempfile
    from pathlib import Path

    config = config_of(training, decoder)
    with tempfile.TemporaryDirectory() as directory:
        config.save(Path(directory) / "config.json")
        assert RunConfig.load(Path(directory) / "config.json") == config


def test_only_what_decides_the_numbers_is_compared():
    config = config_of()
    moved = config_of(dataset="/elsewhere", execution=ExecutionSpec(devices=4, save_every=7))
    assert config.differences(moved) == []
    other = config_of(TrainingSpec(augment=AugmentSpec(crop=0.5)))
    assert config.differences(other) == ["training.augment.crop: 0.0 / 0.5"]
    one, two = (config_of(TrainingSpec(fine_tune=FineTuneSpec(1, blocks=n))) for n in (1, 2))
    assert one.differences(two) == ["training.fine_tune.blocks: 1 / 2"]


@pytest.mark.parametrize(
    ("spec", "fields", "message"),
    [
        (OptimizerSpec, {"schedule": "steps"}, "one of cosine, plateau, got 'steps'"),
        (OptimizerSpec, {"plateau_factor": 1}, r"in \(0, 1\), got 1"),
        (OptimizerSpec, {"learning_rate": float("nan")}, "above 0, got nan"),
        (TrainingSpec, {"precision": "half"}, "got 'half'"),
        (TrainingSpec, {"average": 1.0}, r"in \[0, 1\), got 1.0"),
        (TrainingSpec, {"views": 3}, "views are of crops or colours: got 3"),
        (TrainingSpec, {"epochs": 1, "fine_tune": FineTuneSpec(epochs=2)}, "to be 2"),
        (FineTuneSpec, {"blocks": 3}, "blocks is 3, and there are no epochs"),
        (FineTuneSpec, {"epochs": 1, "blocks": -1}, "blocks must be at least 0, got -1"),
        (TrainingSpec, {"precision": "float16", "fine_tune": FineTuneSpec(epochs=2)}, "float16"),
        (ExecutionSpec, {"save_every": 0}, "above 0, got 0"),
    ],
)
def test_specs_refuse_what_makes_no_sense(spec, fields, message):
    with pytest.raises(ValueError, match=message):
        spec(**fields)


def test_a_file_of_another_version_is_refused(tmp_path):
    config_of().save(tmp_path / "config.json")
    content = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**content, "schema_version": 1}))
    with pytest.raises(UserError, match="has schema version 1"):
        RunConfig.load(tmp_path / "config.json")


def test_a_file_from_before_there_were_blocks_means_all(tmp_path):
    config = config_of()
    config.save(tmp_path / "config.json")
    content = json.loads((tmp_path / "config.json").read_text())
    del content["training"]["fine_tune"]["blocks"]
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert RunConfig.load(tmp_path / "config.json").differences(config) == []


def test_a_run_is_repeated_from_its_configuration_alone(dataset, run, tmp_path):
    again = tmp_path / "again"
    command = ["train", "--config", str(run / runs.CONFIG), "--run", str(again)]
    assert tiny.main(command) == 0
    assert (again / runs.METRICS).read_bytes() == (run / runs.METRICS).read_bytes()


def test_flags_that_contradict_a_configuration_are_refused(run, tmp_path, capsys):
    command = ["train", "--config", str(run / runs.CONFIG), "--run", str(tmp_path / "again")]
    assert tiny.main([*command, "--epochs", "2", "--units", "32"]) == 2
    message = capsys.readouterr().err.strip()
    assert "model.decoder.units: 16 / 32" in message and "epochs" not in message
    assert "\n" not in message and not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--precision", "half"], "precision must be one of"),
        (["--decoder", "gru"], "unknown decoder 'gru': choose one of"),
        (["--decoder", "transformer"], "embedding"),  # which the small flags give
        (["--cell", "gru"], "'cell'"),  # which the default decoder has not
        (["--decoder", "adaptive", "--cell", "gru"], "cell must be one of lstm, got 'gru'"),
        (["--devices", "99"], "--devices 99: only"),
        (["--encoder-on", "moon"], "unknown place 'moon'"),
        (["--encoder-on", "cache", "--crop", "0.5"], "--views N"),
        (["--encoder-on", "device", "--crop", "0.5", "--views", "2"], "not on 'device'"),
        (["--encoder-weights", "/nowhere.h5"], "/nowhere.h5 cannot be read"),
        (["--encoder", "inception_v3"], "at least 75 pixels a side, not of 64"),
        (["--fine-tune-epochs", "1", "--fine-tune-blocks", "3"], "has 2 blocks: ask for no more"),
        (["--fine-tune-blocks", "1"], "blocks is 1, and there are no epochs"),
    ],
)
def test_flags_that_make_no_sense_are_one_line_and_leave_nothing(
    dataset, tmp_path, capsys, flags, message
):
    assert tiny.train(dataset, tmp_path / "run", *flags) == 2
    said = capsys.readouterr().err.strip()
    assert message in said and "\n" not in said
    assert not (tmp_path / "run").exists()


TUNING = ("--fine-tune-epochs", "1", "--fine-tune-blocks", "2")


@pytest.mark.parametrize(
    "flags", [(), ("--encoder-on", "device", "--precision", "bfloat16", *TUNING)]
)
def test_a_dry_run_says_what_would_be_and_leaves_nothing(dataset, tmp_path, capsys, flags):
    before = sorted(dataset.parent.rglob("*"))
    assert tiny.train(dataset, tmp_path / "run", "--dry-run", *flags) == 0
    plan = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert plan["pictures"] == "12 to train, 6 to validate"
    assert plan["steps"] == "3 an epoch, of 4 pictures each"
    assert plan["precision"] == ("bfloat16" if flags else "float32")
    tuned = ", the last 1 with the encoder (its last blocks: 2)" if flags else ""
    assert plan["epochs"] == f"2 at most{tuned}"
    assert "losses" in plan["two"]
    assert not (tmp_path / "run").exists() and sorted(dataset.parent.rglob("*")) == before
