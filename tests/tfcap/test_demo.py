import subprocess
import sys

import pytest

from records.errors import UserError
from tfcap.demo import (
    LEAST_EXACT,
    MARKER,
    Demo,
    Source,
    Step,
    draw_step,
    exact_share,
    export_steps,
    flickr_source,
    flickr_steps,
    main,
    prepare_output,
    run_step,
    scene_steps,
)


@pytest.fixture
def photographs(tmp_path):
    """A directory in the layout of Flickr8k."""
    directory = tmp_path / "flickr8k"
    (directory / "Images").mkdir(parents=True)
    (directory / "Flickr8k.token.txt").write_text("a.jpg#0\tA dog .\n")
    (directory / "Flickr_8k.devImages.txt").write_text("a.jpg\nb.jpg\n")
    return directory


def all_steps(demo, photographs):
    scenes = Source(demo.scenes, demo.scenes / "captions.txt", "test")
    weights = ("--encoder-weights", "none")
    return [
        draw_step(demo),
        *scene_steps(demo, scenes),
        *flickr_steps(demo, flickr_source(photographs), weights),
        *export_steps(demo, [photographs / "Images" / "a.jpg"]),
    ]


def test_every_step_is_a_command_its_own_parser_takes(tmp_path, photographs):
    from beam_jobs.options import parse_arguments
    from tfcap.cli.main import build_parser

    modules = []
    for step in all_steps(Demo(tmp_path / "demo"), photographs):
        if step.command[0] == "tfcap":
            build_parser().parse_args(step.command[1:])
            assert step.argv()[:3] == [sys.executable, "-m", "tfcap.cli.main"]
        else:
            assert step.command[:2] == ("python", "-m")
            assert step.argv()[:2] == [sys.executable, "-m"]
            modules.append(step.command[2])
            if step.command[2] == "beam_jobs.build_records":
                _, for_beam = parse_arguments(step.command[3:])
                assert for_beam == []
    assert set(modules) == {"tfcap.scenes", "beam_jobs.build_records"}


def test_the_run_takes_the_encoder_that_was_pretrained(tmp_path, photographs):
    from tfcap.cli.main import build_parser
    from tfcap.encoders import ENCODERS

    demo = Demo(tmp_path / "demo")
    parsed = [
        build_parser().parse_args(step.command[1:])
        for step in scene_steps(demo, Source(demo.scenes, demo.scenes / "captions.txt", "test"))
        if step.command[1] in ("pretrain", "train", "evaluate")
    ]
    pretrain, train, evaluate = parsed
    assert str(pretrain.output) == train.encoder_weights
    assert pretrain.encoder == train.encoder and train.encoder in ENCODERS
    assert pretrain.dataset == train.dataset == evaluate.dataset
    assert train.run == evaluate.run
    assert evaluate.split == "test"  # drawn scenes have all three splits; Flickr8k here has two


def test_photographs_are_trained_with_the_defaults_and_held_out_in_val(tmp_path, photographs):
    source = flickr_source(photographs)
    steps = flickr_steps(Demo(tmp_path / "demo"), source, ("--encoder", "mobilenet_v3_large"))
    names = [step.command[1] for step in steps if step.command[0] == "tfcap"]
    assert names == ["verify", "train", "evaluate"]
    train = next(step.command for step in steps if "train" in step.command)
    assert train[-2:] == ("--encoder", "mobilenet_v3_large")
    assert "--epochs" not in train
    assert source.captions == photographs / "Flickr8k.token.txt"
    assert [path.name for path in source.samples()] == ["a.jpg", "b.jpg"]


def test_an_earlier_demo_is_replaced_whole(tmp_path):
    output = tmp_path / "demo"
    prepare_output(output, [])
    (output / "run").mkdir()
    (output / "run" / "config.json").touch()
    prepare_output(output, [])
    assert [path.name for path in output.iterdir()] == [MARKER]


def test_a_directory_of_somebody_else_stays(tmp_path):
    (tmp_path / "thesis.tex").write_text("all my work")
    with pytest.raises(UserError, match="was not made by the demo"):
        prepare_output(tmp_path, [])
    with pytest.raises(UserError, match="was not made by the demo"):
        prepare_output(tmp_path / "thesis.tex", [])
    assert (tmp_path / "thesis.tex").read_text() == "all my work"


def test_an_earlier_demo_that_holds_what_is_read_stays(tmp_path):
    output = tmp_path / "demo"
    prepare_output(output, [])
    (output / "scenes").mkdir()
    with pytest.raises(UserError, match="name another --output"):
        prepare_output(output, [output / "scenes"])
    assert (output / "scenes").is_dir()


@pytest.mark.parametrize("missing", ["Images", "Flickr8k.token.txt", "Flickr_8k.devImages.txt"])
def test_incomplete_photographs_are_refused_before_any_step(tmp_path, photographs, missing, capfd):
    path = photographs / missing
    path.rmdir() if path.is_dir() else path.unlink()
    assert main(["--output", str(tmp_path / "demo"), "--data", str(photographs)]) == 2
    out, err = capfd.readouterr()
    assert "$" not in out
    assert err.count("\n") == 1 and "--data" in err


def test_an_encoder_without_data_is_refused(tmp_path, capsys):
    assert main(["--output", str(tmp_path / "demo"), "--encoder-weights", "none"]) == 2
    assert "--encoder-weights goes with --data" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


def test_a_step_shows_its_command_and_its_output(capfd):
    step = Step("Say it", ("python", "-c", "print('exact     96.0%')"))
    assert run_step(step) == "exact     96.0%\n"
    assert (
        capfd.readouterr().out
        == "\n== Say it\n$ python -c 'print('\"'\"'exact     96.0%'\"'\"')'\nexact     96.0%\n"
    )


def test_a_step_that_fails_stops_the_demo(monkeypatch, tmp_path, photographs, capfd):
    failing = Step("Fail", ("python", "-c", "raise SystemExit(3)"))
    monkeypatch.setattr("tfcap.demo.flickr_steps", lambda *_: [failing])
    with pytest.raises(subprocess.CalledProcessError):
        run_step(failing)
    assert main(["--output", str(tmp_path / "demo"), "--data", str(photographs)]) == 3
    assert "failed" in capfd.readouterr().err


@pytest.mark.parametrize(("exact", "code"), [(LEAST_EXACT, 0), (LEAST_EXACT - 0.5, 1)])
def test_drawn_scenes_must_be_captioned_correctly(monkeypatch, tmp_path, capsys, exact, code):
    monkeypatch.setattr("tfcap.demo.run_demo", lambda *_: exact)
    assert main(["--output", str(tmp_path / "demo")]) == code
    out, err = capsys.readouterr()
    assert f"{exact:.1f}% of the held-out scenes" in out
    assert ("failed" in err) == bool(code)


def test_the_exact_share_is_read_from_a_report_of_evaluate():
    report = "pictures  200\nBLEU-1    99.10\nCIDEr-D   9.9000\nexact     96.5%\ncaptions in x\n"
    assert exact_share(report) == 96.5
