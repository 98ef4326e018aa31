"""The command line: help, and one line with exit code 2 for what a user can mend."""

import pytest

from tfcap.cli.main import COMMANDS, build_parser, main
from tfcap.decoders import DECODERS, AdaptiveSpec, LSTMAttentionSpec
from tfcap.encoders import ENCODERS, build_encoder


def help_of(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_a_description(command, capsys):
    text = help_of(command, capsys)
    assert " ".join(COMMANDS[command].DESCRIPTION.split()) in text


def test_help_names_every_network_and_the_true_defaults(capsys):
    from tfcap.config import TrainingSpec

    text = help_of("train", capsys)
    for name in (*ENCODERS, *DECODERS):
        assert name in text
    recipe = ("epochs", "batch_size", "label_smoothing", "patience")
    for spec in (TrainingSpec, LSTMAttentionSpec, AdaptiveSpec):
        for name in (*recipe, "units", "embedding", "attention", "cell"):
            if hasattr(spec, name):
                flag = f"--{name.replace('_', '-')} {name.upper()}"
                assert f"(default: {getattr(spec, name)})" in text.split(flag)[-1][:120]


ABSENT = "/nowhere/at/all"


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", ABSENT],
        ["inspect", ABSENT],
        ["audit", ABSENT],
        ["train", "--dataset", ABSENT, "--run", ABSENT],
        ["evaluate", "--run", ABSENT, "--dataset", ABSENT],
        ["evaluate", "--model", ABSENT, "--dataset", ABSENT],
        ["evaluate", "--run", ABSENT, "--images", ABSENT],
        ["evaluate", "--run", ABSENT, "--dataset", ABSENT, "--batch-size", "0"],
        ["export", "--run", ABSENT, "--output", ABSENT],
        ["caption", "--model", ABSENT, "picture.jpg"],
        ["search", "--index", ABSENT, "a dog"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_what_is_missing_is_one_line_and_exit_code_2(arguments, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    line = captured.err.strip()
    assert line.startswith(f"tfcap {arguments[0]}: error: ") and "\n" not in line


def test_the_parser_refuses_an_unknown_command():
    with pytest.raises(SystemExit) as stopped:
        build_parser().parse_args(["conjure"])
    assert stopped.value.code == 2


def test_stride16_is_small_at_twice_the_resolution():
    small = build_encoder("mobilenet_v3_small", 64, "none")
    finer = build_encoder("mobilenet_v3_small_stride16", 64, "none")
    assert small.output_shape == (None, 2, 2, 576)
    assert finer.output_shape == (None, 4, 4, 288)
    assert not finer.trainable
