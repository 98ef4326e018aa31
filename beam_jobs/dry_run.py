"""A look at the job before it runs: its graph and, for Dataflow, its request; nothing is sent."""

import argparse
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.pipeline import AppliedPTransform
from apache_beam.pvalue import PCollection
from apache_beam.runners.internal.names import STAGED_PIPELINE_FILENAME
from apache_beam.runners.portability.stager import SKIP_REQUIREMENTS_CACHE

from beam_jobs.files import is_local
from beam_jobs.runners import make_pipeline
from records.errors import UserError

# Dataflow's limit on the graph of a job: cloud.google.com/dataflow/docs/request-quotas
GRAPH_LIMIT = 10 * 1000**2
# Makes the requests; needs the libraries of the cloud extra.
CLOUD_MODULE = "apache_beam.runners.dataflow.internal.apiclient"
# With it, Beam's runner goes all the way to the request and does not send it.
_NOT_SENT = "--dry_run=True"
_FOR_EXAMPLE = {
    "project": "--project my-project",
    "region": "--region europe-west4",
    "temp_location": "--temp_location gs://my-bucket/temp",
}


def is_dataflow(runner: str) -> bool:
    """Tell whether Beam takes the name of a runner for Dataflow's."""
    return runner.rpartition(".")[2].lower().removesuffix("runner") == "dataflow"


def check_submission(
    arguments: argparse.Namespace,
    for_beam: Sequence[str],
    read_first: Mapping[str, str],
    paths: Iterable[str],
) -> None:
    """Refuse what a dry run or Dataflow could not do, before anything is read or written.

    Args:
        arguments: the command's own options.
        for_beam: the options meant for Beam.
        read_first: paths that planning the job reads, by their flags.
        paths: all paths of the job.

    Raises:
        UserError: a path is out of reach, or an option of Dataflow's is missing or wrong.
    """
    on_dataflow = is_dataflow(arguments.runner)
    if arguments.dry_run:
        for flag, path in read_first.items():
            if not is_local(path):
                raise UserError(
                    f"--dry-run uses no network and cannot read {flag} {path}: give a local copy"
                )
    elif on_dataflow and (local := _local(paths)):
        raise UserError(
            f"workers on Dataflow cannot reach {local[0]}: copy it to a bucket and give its gs:// "
            "path"
        )
    if on_dataflow:
        check_dataflow(for_beam)


def check_dataflow(for_beam: Sequence[str]) -> None:
    """Check Beam's options as Dataflow's runner does before it submits, without a network.

    The runner itself would look for credentials and make a bucket where no location is given.

    Raises:
        UserError: the cloud extra is not installed, or an option is missing or wrong.
    """
    try:
        importlib.import_module(CLOUD_MODULE)
    except ImportError:
        raise UserError(
            'no Google Cloud libraries here: pip install "tfcap[gcp]", or use the local runner'
        ) from None
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    options = PipelineOptions([*for_beam, _NOT_SENT])
    cloud = options.view_as(GoogleCloudOptions)
    cloud.temp_location = cloud.temp_location or cloud.staging_location
    if missing := [name for name in _FOR_EXAMPLE if not getattr(cloud, name)]:
        names = ", ".join(f"--{name}" for name in missing)
        example = " ".join(_FOR_EXAMPLE[name] for name in missing)
        raise UserError(f"DataflowRunner needs {names}: add for example {example}")
    validator = PipelineOptionsValidator(options, DataflowRunner())
    given = [name for name in ("temp_location", "staging_location") if getattr(cloud, name)]
    errors = [error for name in given for error in validator.validate_gcs_path(cloud, name)]
    if errors := errors or validator.validate():
        raise UserError(f"DataflowRunner refuses its options: {' '.join(errors)}")
    _check_setup_file(options.view_as(SetupOptions).setup_file)


def dry_run(
    build: Callable[[beam.Pipeline], None],
    facts: Mapping[str, object],
    paths: Iterable[str],
    arguments: argparse.Namespace,
    for_beam: Sequence[str],
) -> str:
    """Build the job as if it were to run.

    Args:
        build: lays the planned job out in a pipeline.
        facts: what else is known of it, by name.
        paths: all paths of the job.
        arguments: the command's own options, as `check_submission` passes them.
        for_beam: the options meant for Beam.

    Returns:
        what there is to know about it, for people.

    Raises:
        UserError: Dataflow would refuse the job for its size.
    """
    on_dataflow = is_dataflow(arguments.runner)
    pipeline = make_pipeline(arguments, [*for_beam, *([_NOT_SENT] if on_dataflow else [])])
    build(pipeline)
    facts = {"runner": arguments.runner, **facts}
    lines = [describe_graph(pipeline), *(f"{name:<9} {fact}" for name, fact in facts.items())]
    if on_dataflow:
        lines += _describe_request(pipeline)
        lines += [f"to do     copy to a bucket: {path}" for path in _local(paths)]
    lines.append("dry run: nothing was written and nothing was sent")
    return "\n".join(lines)


def describe_graph(pipeline: beam.Pipeline) -> str:
    """Return the steps of a pipeline in their order, one a line, as its author named them.

    Beam's composite steps are one step; the author's own are shown by what is in them. Each line
    says from which steps its input comes, and the type of its elements where that is known.
    """
    steps = list(_steps(pipeline.transforms_stack[0]))
    numbers = {id(step): number for number, (_, step) in enumerate(steps, start=1)}
    return "\n".join(
        f"{number:>2}. {label}{_origins(step, numbers)}{_element_types(step)}"
        for number, (label, step) in enumerate(steps, start=1)
    )


def request_sizes(pipeline: beam.Pipeline) -> tuple[int, int]:
    """Make the request for a job on Dataflow, without sending it.

    Args:
        pipeline: on DataflowRunner, with `--dry_run`. Packages to be staged are left aside: making
            them takes files and, for requirements, the network.

    Returns:
        bytes of the job's graph, and bytes of the request as JSON.
    """
    apiclient = importlib.import_module(CLOUD_MODULE)
    setup = pipeline.options.view_as(SetupOptions)
    setup.setup_file = setup.requirements_file = setup.extra_packages = None
    setup.requirements_cache, setup.save_main_session = SKIP_REQUIREMENTS_CACHE, False
    pipeline.options.view_as(DebugOptions).add_experiment("disable_logging_submission_environment")
    job = pipeline.run().job
    job.proto.environment = apiclient.Environment(
        packages=[],
        options=job.options,
        environment_version=apiclient._FNAPI_ENVIRONMENT_MAJOR_VERSION,
        proto_pipeline_staged_url=FileSystems.join(
            job.google_cloud_options.staging_location, STAGED_PIPELINE_FILENAME
        ),
        proto_pipeline=job.proto_pipeline,
    ).proto
    return job.proto_pipeline.ByteSize(), len(job.json().encode())


def _check_setup_file(path: str | None) -> None:
    if path is None:
        return
    if not Path(path).is_file():
        raise UserError(f"no file {path}: check --setup_file")
    if "/" not in path:
        # Beam changes into the directory part, which must not be empty.
        raise UserError(f"--setup_file {path} must name its directory too: --setup_file ./{path}")


def _describe_request(pipeline: beam.Pipeline) -> list[str]:
    graph, request = request_sizes(pipeline)
    if graph > GRAPH_LIMIT:
        raise UserError(
            f"the job's graph takes {graph:,} bytes, Dataflow's limit is {GRAPH_LIMIT:,}: have its "
            "steps read their data instead of carrying it"
        )
    return [f"request   graph {graph:,} bytes (limit {GRAPH_LIMIT:,}), job {request:,} bytes"]


def _local(paths: Iterable[str]) -> list[str]:
    return [path for path in dict.fromkeys(paths) if is_local(path)]


def _steps(parent: AppliedPTransform) -> Iterator[tuple[str, AppliedPTransform]]:
    for step in parent.parts:
        if step.parts and not type(step.transform).__module__.startswith("apache_beam."):
            yield from _steps(step)
        else:
            yield step.full_label.removeprefix(f"{parent.full_label}/"), step


def _origins(step: AppliedPTransform, numbers: dict[int, int]) -> str:
    side_inputs = [side_input.pvalue for side_input in step.side_inputs]
    names = [
        _origin(value, numbers)
        for value in [*step.inputs, *side_inputs]
        if isinstance(value, PCollection)
    ]
    return f" (from {' and '.join(names)})" if names else ""


def _origin(value: PCollection, numbers: dict[int, int]) -> str:
    producer = value.producer
    while id(producer) not in numbers:
        producer = producer.parent
    number = numbers[id(producer)]
    return f"{number}, {value.tag}" if value.tag else f"{number}"


def _element_types(step: AppliedPTransform) -> str:
    names = dict.fromkeys(_type_name(value.element_type) for value in step.outputs.values())
    # What Beam infers of a step with several outputs is one type for all of them.
    known = [name for name in names if "Any" not in name and "TaggedOutput" not in name]
    return f" -> {', '.join(known)}" if known else ""


def _type_name(element_type) -> str:
    """Return "Tuple[str, None]" for what prints as "Tuple[<class 'str'>, <class 'NoneType'>]"."""
    plain = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", str(element_type))
    return plain.replace("NoneType", "None")
