"""The Flex Template: its parameters are the command's options, its image holds what is here."""

import argparse
import importlib.util
import itertools
import json
import re
from pathlib import Path

import apache_beam
import pytest

from beam_jobs.options import parse_arguments
from beam_jobs.runners import OneLineParser

REPOSITORY = Path(__file__).resolve().parents[2]
TEMPLATE = REPOSITORY / "beam_jobs" / "dataflow"
PARAMETERS = {
    parameter["name"]: parameter
    for parameter in json.loads((TEMPLATE / "metadata.json").read_text("utf-8"))["parameters"]
}
# Dataflow's launcher sets the runner; the others are for a run on one's own machine.
NOT_FOR_TEMPLATES = {"--help", "--runner", "--workers", "--dry-run"}
FOR_BEAM = {"sdk_container_image"}
SOURCE = ["--images=gs://b/i", "--captions=gs://b/c", "--splits=gs://b", "--output=gs://b/o"]


@pytest.fixture
def options(monkeypatch) -> dict[str, argparse.Action]:
    """The options of the command, by the names of parameters."""
    parsers = []
    parse = OneLineParser.parse_known_args
    monkeypatch.setattr(
        OneLineParser,
        "parse_known_args",
        lambda parser, *arguments: parsers.append(parser) or parse(parser, *arguments),
    )
    parse_arguments(SOURCE)
    return {
        action.option_strings[-1].removeprefix("--").replace("-", "_"): action
        for action in parsers[0]._actions
        if NOT_FOR_TEMPLATES.isdisjoint(action.option_strings)
    }


@pytest.fixture(scope="module")
def launch():
    """The launcher's module, which is in no package."""
    spec = importlib.util.spec_from_file_location("launch", TEMPLATE / "launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_option_is_a_parameter_and_every_parameter_an_option(options):
    assert set(PARAMETERS) - FOR_BEAM == set(options)


def test_parameters_are_optional_and_flags_where_options_are(options):
    for name, option in options.items():
        parameter = PARAMETERS[name]
        assert parameter.get("isOptional", False) != option.required, name
        assert (parameter["paramType"] == "BOOLEAN") == (option.nargs == 0), name


def test_parameters_accept_the_defaults_and_name_them(options):
    for name, option in options.items():
        if isinstance(option.default, str | int) and option.nargs != 0:
            assert accepts(name, str(option.default)), name
            assert f"Default: {option.default}." in PARAMETERS[name]["helpText"], name


def test_parameters_accept_all_choices(options):
    for name, option in options.items():
        assert all(accepts(name, choice) for choice in option.choices or ()), name


def accepts(name, value):
    return all(re.fullmatch(pattern, value) for pattern in PARAMETERS[name].get("regexes", ()))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("images", "gs://bucket/Images", True),
        ("images", "gs://bucket/pictures.zip", True),
        ("images", "flickr8k/Images", False),
        ("output", "gs://bucket/data*", False),
        ("splits", "source", True),
        ("splits", "train=0.9,val=0.1", True),
        ("splits", "flickr8k", False),
        ("name", "flickr-8k", False),
        ("max_bad", "1%", True),
        ("max_bad", "0.5%", True),
        ("max_bad", "many", False),
        ("image_size", "-1", False),
        ("overwrite", "yes", False),
    ],
)
def test_patterns_take_what_the_command_takes(name, value, expected):
    assert accepts(name, value) == expected


def test_metadata_is_what_dataflow_calls_template_metadata():
    cloud = pytest.importorskip("google.cloud.dataflow", reason="no cloud extra here")
    metadata = cloud.TemplateMetadata.from_json((TEMPLATE / "metadata.json").read_text("utf-8"))
    assert [parameter.name for parameter in metadata.parameters] == list(PARAMETERS)
    assert all(parameter.label and parameter.help_text for parameter in metadata.parameters)


def test_the_launcher_translates_parameters_into_options(launch):
    beams = ["--runner=DataflowRunner", "--temp_location=gs://b/t", "--sdk_container_image=i:1"]
    given = ["--images=gs://b/a=b", "--image_size=64", "--overwrite=true", "--keep_case=false"]
    line = list(launch.command_line([*given, *beams]))
    assert line == ["--images=gs://b/a=b", "--image-size=64", "--overwrite", *beams]


def test_the_command_takes_what_the_launcher_gives(launch):
    arguments, for_beam = parse_arguments(
        launch.command_line([*SOURCE, "--min_count=2", "--retry_failed=true", "--project=p"])
    )
    assert (arguments.min_count, arguments.retry_failed) == (2, True)
    assert for_beam == ["--project=p"]


def dockerfile(instruction):
    """Return the words of each line with that instruction."""
    lines = [line.split() for line in (TEMPLATE / "Dockerfile").read_text("utf-8").splitlines()]
    return [words[1:] for words in lines if words and words[0] == instruction]


def test_the_image_copies_what_exists_and_is_not_ignored():
    ignored, *kept = (TEMPLATE / "Dockerfile.dockerignore").read_text("utf-8").split()
    assert ignored == "*"
    copies = [words[:-1] for words in dockerfile("COPY") if not words[0].startswith("--from")]
    for path in itertools.chain.from_iterable(copies):
        assert (REPOSITORY / path).exists(), path
        assert f"!{Path(path).parts[0]}" in kept, path


def test_the_image_starts_what_it_holds():
    (variables,) = dockerfile("ENV")
    name, _, path = variables[0].partition("=")
    assert name == "FLEX_TEMPLATE_PYTHON_PY_FILE"
    directory, file = Path(path).parent, Path(path).name
    assert [str(directory)] in dockerfile("WORKDIR")
    *sources, target = next(words for words in dockerfile("COPY") if words[0].endswith(file))
    assert target == "./"
    assert {Path(source).name for source in sources} == {file, "metadata.json"}


def test_workers_have_the_beam_that_the_job_is_submitted_with():
    images = [image for image, *_ in dockerfile("FROM")]
    minor = apache_beam.__version__.rpartition(".")[0]
    assert images[-1].startswith(f"apache/beam_python3.11_sdk:{minor}.")
