"""Where a job runs: the options that all commands have for it, and those they hand on to Beam."""

import argparse
import contextlib
import io
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, worker_handlers
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from beam_jobs.rejects import Budget
from records.errors import UserError

LOCAL_RUNNER = "FnApiRunner"
DEFAULTED = "(default: %(default)s)"
# Where a worker finds this package, wherever the command is run.
_ROOT = Path(__file__).resolve().parents[1]


class OneLineParser(argparse.ArgumentParser):
    """A parser whose complaints are UserErrors: one line, no usage block."""

    def error(self, message):
        raise UserError(f"{message}; see --help")


def add_number(add: Callable, flag: str, default: int | None, text: str) -> None:
    """Add an option that takes a whole number."""
    add(flag, type=int, default=default, metavar="N", help=text)


def add_runner_options(group: argparse._ArgumentGroup) -> None:
    """Add what `check_runner_options` and `make_pipeline` read, `--max-bad` and `--dry-run`."""
    add = group.add_argument
    add_number(add, "--workers", 1, f"processes of the local runner {DEFAULTED}")
    add(
        "--max-bad",
        type=_budget,
        metavar="N|P%",
        help="fail where more pictures, or a larger share of them, are rejected",
    )
    add(
        "--dry-run",
        "--dry_run",  # Beam's own spelling, which would run the job
        action="store_true",
        help="show the job, for Dataflow the size of its request too, and do nothing",
    )
    add(
        "--runner", default=LOCAL_RUNNER, help="Beam runner (default: %(default)s, on this machine)"
    )


def check_runner_options(arguments: argparse.Namespace, for_beam: list[str]) -> None:
    """Refuse a runner's options that go wrong later.

    Args:
        arguments: the command's own, `output` among them.
        for_beam: those meant for Beam.

    Raises:
        UserError: an option is unknown or has a bad value.
    """
    check_positive(arguments, "workers")
    if any(character in arguments.output for character in "*?["):
        # Beam's file systems would take it for a pattern, and there is no quoting it.
        raise UserError(f"--output {arguments.output} must not hold any of * ? [")
    if arguments.workers > 1 and arguments.runner != LOCAL_RUNNER:
        raise UserError(
            f"--workers is for the local runner: with --runner {arguments.runner} use Beam's own "
            "options, such as --num_workers"
        )
    _check_beam_options(for_beam)


def check_positive(arguments: argparse.Namespace, *names: str) -> None:
    """Raise UserError where a number that was given is below 1."""
    for name in names:
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise UserError(f"--{name.replace('_', '-')} must be at least 1, got {value}")


def make_pipeline(arguments: argparse.Namespace, for_beam: list[str]) -> beam.Pipeline:
    """Return an empty pipeline on the runner asked for."""
    flags = [f"--runner={arguments.runner}", *for_beam]
    if arguments.workers == 1:
        return beam.Pipeline(options=PipelineOptions(flags))
    # By the clock, Beam sends from another thread what an encoder may have written half of: an
    # element that is cut in two is read as others, or for ever. By size, it sends whole elements.
    worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0
    return beam.Pipeline(
        runner=FnApiRunner(SubprocessSDKEnvironment.from_command_string(_worker_command())),
        options=PipelineOptions([*flags, f"--direct_num_workers={arguments.workers}"]),
    )


def is_template(pipeline: beam.Pipeline) -> bool:
    """Tell whether running the pipeline only writes down the job, as for a Flex Template."""
    options = pipeline.options.view_as(GoogleCloudOptions)
    return getattr(options, "template_location", None) is not None


def _budget(text: str) -> Budget:
    try:
        return Budget.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number of pictures nor a percentage like 1%"
        ) from None


def _check_beam_options(for_beam: list[str]) -> None:
    """Refuse what Beam would silently discard: a misspelt option changes the dataset."""
    complaints = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaints):
            options = PipelineOptions(for_beam)
            given = options.get_all_options(drop_default=True, retain_unknown_options=True)
            known = options.get_all_options()
    except SystemExit:
        raise UserError(f"{complaints.getvalue().splitlines()[-1]}; see --help") from None
    for value in for_beam:
        name = value.partition("=")[0]
        option = name.lstrip("-").replace("-", "_")
        if (option in given and option not in known) or not for_beam[0].startswith("-"):
            raise UserError(f"unknown option {name}; see --help")


def _worker_command() -> str:
    """Return the command of a local worker process, for a shell."""
    variables = {
        # One arena of malloc for all threads: those of Beam's channels would each keep what they
        # freed.
        "MALLOC_ARENA_MAX": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.getenv("PYTHONPATH")])),
    }
    setting = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    # The shell must not stand between Beam and the worker.
    return f"{setting} exec {shlex.quote(sys.executable)} -m beam_jobs.worker"
