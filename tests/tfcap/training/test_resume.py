"""A run that was stopped goes on to the very bits of one that was not."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import keras
import pytest
import tensorflow as tf
import tiny

from tfcap import runs
from tfcap.training import program

REPOSITORY = Path(__file__).resolve().parents[3]
# As much of what can go wrong at once as there is.
EVERYTHING = (
    *("--average", "0.9", "--fine-tune-epochs", "1", "--fine-tune-rate", "0.01"),
    *("--fine-tune-blocks", "1"),
    *("--crop", "0.5", "--colour", "0.2", "--epochs", "2", "--save-every", "2"),
)


def state_of(run):
    """Return all that the last checkpoint holds, as bytes, and the files beside it."""
    reader = tf.train.load_checkpoint(run / runs.CHECKPOINTS)
    names = set(reader.get_variable_to_shape_map()) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    state = {
        name: reader.get_tensor(name).tobytes() for name in names if "save_counter" not in name
    }
    files = (runs.METRICS, runs.SAMPLES, runs.CONFIG)
    return state | {name: (run / name).read_bytes() for name in files}


@pytest.fixture(scope="module")
def undisturbed(dataset, tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed") / "run"
    assert tiny.train(dataset, directory, *EVERYTHING) == 0
    return directory


def assert_equal_runs(run, undisturbed):
    mine, theirs = state_of(run), state_of(undisturbed)
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if mine[name] != theirs[name]] == []
    assert len(list((run / runs.CHECKPOINTS).glob("ckpt-*.index"))) == 1


class Killed(BaseException):
    """Stands for signal 9: nothing of the program catches it and goes on."""


def kill_process(dataset, run):
    """Start the command as a process of its own; signal 9 after its first checkpoint."""
    process = subprocess.Popen(
        [sys.executable, str(Path(tiny.__file__)), str(dataset), str(run), *EVERYTHING],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "", "TF_CPP_MIN_LOG_LEVEL": "2"},
        stderr=subprocess.DEVNULL,
    )
    while not (run / runs.CHECKPOINTS / "checkpoint").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def die_after(writer, name, dataset, run, monkeypatch):
    """Go on with the run, and die right after the next time that something is written."""
    write = getattr(writer, name)

    def dying(*arguments):
        write(*arguments)
        raise Killed

    with monkeypatch.context() as patches:
        patches.setattr(writer, name, dying)
        with pytest.raises(Killed):
            tiny.train(dataset, run, *EVERYTHING)


def interrupt_at(number, dataset, run, monkeypatch):
    """Go on with the run until Ctrl-C before a step (counted from 0, of the whole training)."""
    step = program.TrainStep.__call__

    def interrupted(self, batch, at, rates):
        if at == number:
            raise KeyboardInterrupt
        return step(self, batch, at, rates)

    with monkeypatch.context() as patches:
        patches.setattr(program.TrainStep, "__call__", interrupted)
        flags = [*EVERYTHING, "--save-every", "1000"]  # which does not decide the numbers
        assert tiny.train(dataset, run, *flags) == 130


def test_a_run_stopped_again_and_again_ends_to_the_bit(
    dataset, tmp_path, undisturbed, monkeypatch, capsys
):
    run = tmp_path / "run"
    kill_process(dataset, run)
    die_after(program, "save_weights", dataset, run, monkeypatch)
    die_after(runs, "write_history", dataset, run, monkeypatch)
    interrupt_at(4, dataset, run, monkeypatch)
    assert "the same command goes on" in capsys.readouterr().out
    position = tf.train.load_variable(run / runs.CHECKPOINTS, "step/.ATTRIBUTES/VARIABLE_VALUE")
    assert position == 1  # of three: Ctrl-C has lost no step
    _ = [keras.layers.Dense(1) for _ in range(95)]  # whose numbers others' names continue
    assert tiny.train(dataset, run, *EVERYTHING) == 0
    assert_equal_runs(run, undisturbed)


def test_a_run_with_other_settings_is_refused_by_name(dataset, run, capsys):
    assert tiny.train(dataset, run, "--learning-rate", "0.5") == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "training.optimizer.learning_rate: 0.001 / 0.5" in message


def test_a_finished_run_stays_as_it_is(dataset, run, capsys):
    before = (run / runs.METRICS).read_bytes()
    assert tiny.train(dataset, run) == 0
    assert (run / runs.METRICS).read_bytes() == before
    assert "best epoch" in capsys.readouterr().out


def test_what_does_not_decide_the_numbers_may_change(dataset, run):
    assert tiny.train(dataset, run, "--save-every", "7", "--encoder-on", "device") == 0
    execution = json.loads((run / runs.CONFIG).read_text())["execution"]
    assert (execution["save_every"], execution["encoder_on"]) == (7, "device")
