"""Dry runs: the graph as prose, Dataflow's options checked, its request made, nothing sent."""

import random
import socket
import sys

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs import dry_run
from beam_jobs.build_records import main
from beam_jobs.dry_run import check_dataflow, describe_graph, is_dataflow, request_sizes
from records.errors import UserError

REQUIRED = ["--project=my-project", "--region=europe-west4", "--temp_location=gs://bucket/temp"]


@pytest.fixture
def cloud():
    """Only where the cloud extra is installed."""
    pytest.importorskip(
        "apache_beam.runners.dataflow.internal.apiclient",
        reason="no cloud extra here",
        exc_type=ImportError,
    )


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Fail whatever looks a host up or connects to one, such as a search for credentials."""

    def refuse(*arguments):
        pytest.fail(f"network access: {arguments}")

    for owner, name in ((socket, "getaddrinfo"), (socket.socket, "connect")):
        monkeypatch.setattr(owner, name, refuse)


class CountLetters(beam.PTransform):
    """A composite step of an author's own."""

    def expand(self, words):
        letters = words | "Take letters" >> beam.FlatMap(list)
        return letters | "Count each letter" >> beam.combiners.Count.PerElement()


def split_by_length(word):
    yield word if len(word) < 3 else beam.pvalue.TaggedOutput("long", word)


def test_a_graph_reads_as_its_author_wrote_it():
    pipeline = beam.Pipeline()
    words = pipeline | "Name words" >> beam.Create(["a", "bee"])
    parts = words | "Part by length" >> beam.ParDo(split_by_length).with_outputs(
        "long", main="short"
    )
    letters = words | "Count letters" >> CountLetters()
    counts = letters | "Measure" >> beam.Map(len).with_output_types(int)
    together = (parts.short, parts.long) | "Put together" >> beam.Flatten()
    _ = together | "Pair" >> beam.Map(lambda word, by: (word, by), beam.pvalue.AsIter(counts))
    assert describe_graph(pipeline).splitlines() == [
        " 1. Name words -> str",
        " 2. Part by length (from 1)",
        " 3. Take letters (from 1)",
        " 4. Count each letter (from 3)",
        " 5. Measure (from 4) -> int",
        " 6. Put together (from 2 and 2, long)",
        " 7. Pair (from 6 and 5)",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DataflowRunner", True),
        ("dataflow", True),
        ("apache_beam.runners.dataflow.DataflowRunner", True),
        ("FnApiRunner", False),
        ("PortableRunner", False),
        ("TestDataflowRunner", False),
    ],
)
def test_the_names_of_dataflow(name, expected):
    assert is_dataflow(name) == expected


def test_complete_options_pass(cloud):
    check_dataflow(REQUIRED)
    check_dataflow([*REQUIRED[:2], "--staging_location=gs://bucket/staging"])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "needs --project, --region, --temp_location: add for example --project my-project"),
        (REQUIRED[:2], "needs --temp_location: add for example --temp_location gs://"),
        ([*REQUIRED, "--temp_location=/tmp/x"], "(/tmp/x), given for the option: temp_location"),
        ([*REQUIRED, "--staging_location=s3://b/x"], "(s3://b/x), given for the option: staging"),
        ([*REQUIRED, "--project=123456"], "Invalid Project ID (123456)"),
        ([*REQUIRED, "--job_name=Capital"], "Invalid job_name (Capital)"),
        ([*REQUIRED, "--num_workers=9", "--max_num_workers=2"], "num_workers (9)"),
        ([*REQUIRED, "--setup_file=/nowhere/setup.py"], "no file /nowhere/setup.py"),
    ],
)
def test_wrong_options_are_one_line(cloud, options, complaint):
    with pytest.raises(UserError) as refusal:
        check_dataflow(options)
    assert complaint in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1


def test_a_setup_file_without_its_directory_is_refused(cloud, tmp_path, monkeypatch):
    (tmp_path / "setup.py").touch()
    monkeypatch.chdir(tmp_path)
    check_dataflow([*REQUIRED, "--setup_file=./setup.py"])
    with pytest.raises(UserError, match=r"--setup_file \./setup\.py"):
        check_dataflow([*REQUIRED, "--setup_file=setup.py"])


def test_without_the_cloud_extra_its_installation_is_named(monkeypatch):
    # What an import of a module finds that cannot be imported.
    monkeypatch.setitem(sys.modules, dry_run.CLOUD_MODULE, None)
    with pytest.raises(UserError, match=r'pip install "tfcap\[gcp\]"'):
        check_dataflow(REQUIRED)


def test_the_graph_grows_with_what_its_steps_carry(cloud):
    def sizes(elements):
        options = PipelineOptions(["--runner=DataflowRunner", *REQUIRED, "--dry_run=True"])
        pipeline = beam.Pipeline(options=options)
        _ = pipeline | beam.Create(elements)
        return request_sizes(pipeline)

    incompressible = random.Random(1).randbytes(100_000)
    (small, small_request), (large, large_request) = sizes([b"x"]), sizes([incompressible])
    assert large - small > len(incompressible)
    # The graph is staged beside the request.
    assert abs(large_request - small_request) < 1000


def dry(source, *options):
    return main(source.arguments("--dry-run", *options))


def test_a_local_dry_run_shows_the_plan_and_writes_nothing(small_source, capsys):
    before = sorted(small_source.root.rglob("*"))
    assert dry(small_source, "--shards-per-split=2") == 0
    shown = capsys.readouterr().out
    assert "Normalise pictures and write shards" in shown
    assert "shards    train 2, val 2" in shown and str(small_source.output) in shown
    assert sorted(small_source.root.rglob("*")) == before


def test_a_dry_run_finds_what_is_wrong_with_the_input(small_source, capsys):
    assert dry(small_source, "--shards-per-split=99") == 2
    assert "--shards-per-split 99" in capsys.readouterr().err


def test_a_dry_run_for_dataflow_needs_no_network(cloud, small_source, capsys):
    remote = ["--runner=DataflowRunner", *REQUIRED, "--images=gs://bucket/Images"]
    assert dry(small_source, *remote, "--output=gs://bucket/records") == 0
    shown = capsys.readouterr().out
    assert "bytes (limit 10,000,000)" in shown and "gs://bucket/records" in shown
    assert f"copy to a bucket: {small_source.captions}" in shown


def test_a_graph_over_the_limit_is_refused(cloud, small_source, capsys, monkeypatch):
    monkeypatch.setattr(dry_run, "GRAPH_LIMIT", 1000)
    assert dry(small_source, "--runner=DataflowRunner", *REQUIRED) == 2
    assert "Dataflow's limit is 1,000" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--captions=gs://bucket/captions.txt", "--splits=gs://bucket"])
def test_a_dry_run_never_reads_a_bucket(small_source, capsys, flag):
    assert dry(small_source, flag) == 2
    assert "give a local copy" in capsys.readouterr().err


def test_a_job_for_dataflow_with_local_paths_is_refused(small_source, capsys):
    assert main(small_source.arguments("--runner=DataflowRunner", *REQUIRED)) == 2
    assert f"cannot reach {small_source.images}" in capsys.readouterr().err
