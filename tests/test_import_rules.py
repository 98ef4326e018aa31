"""Imports go one way through the rooms: the table of README.md, enforced."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
STANDARD = sys.stdlib_module_names
TENSORFLOW = {"tensorflow", "tensorflow_text", "keras"}
METRICS = {"nltk", "sentence_transformers"}
REPORT = {"jinja2", "markupsafe", "matplotlib", "wordcloud"}
SERVER = {
    "google",  # protobuf
    "grpc",
    "prometheus_client",
    "starlette",
    "tensorflow_serving",
    "uvicorn",
}
# What each room may import beside the standard library and itself.
ALLOWED = {
    "records": {"PIL", "google_crc32c"},
    "beam_jobs": {"records", "apache_beam", "tqdm"},
    "beam_jobs/captioning": {"records", "apache_beam", *TENSORFLOW},
    "tfcap": {
        *{"records", "tqdm", "PIL", "numpy", "tensorflow_serving"},
        *{*METRICS, *REPORT, *TENSORFLOW},
    },
    "tfcap/cli": {"records", "beam_jobs", "tfcap", "serving", "tqdm"},
    "serving": {"numpy", *SERVER, *TENSORFLOW},
    "serving/client": {"google", "grpc", "httpx"},
    "serving/loaders": {"numpy", "PIL", "ai_edge_litert", *TENSORFLOW},
}


def room_of(path: Path) -> str:
    relative = path.relative_to(REPOSITORY)
    inner = "/".join(relative.parts[:2])
    return inner if inner in ALLOWED else relative.parts[0]


def sources() -> list[Path]:
    rooms = ("records", "beam_jobs", "tfcap", "serving")
    return [path for room in rooms for path in sorted((REPOSITORY / room).rglob("*.py"))]


def imports_of(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_room_imports_only_what_it_may(path):
    room = room_of(path)
    imported = imports_of(ast.parse(path.read_text("utf-8")))
    assert imported - STANDARD - {room.split("/")[0]} <= ALLOWED[room]


@pytest.mark.parametrize(
    "statement",
    [
        "import records.verify, records.pictures, records.captions",
        "import beam_jobs.build_records, beam_jobs.caption_images",
        "import tfcap.reports.dataset_card, records.audit",
        "import tfcap.metrics.evaluation, tfcap.metrics.table, tfcap.metrics.reference_files",
        "import tfcap.retrieval.text_match, tfcap.retrieval.similarity",
        "from tfcap.cli.main import build_parser; build_parser()",
    ],
)
def test_light_commands_never_load_tensorflow(statement):
    """A Beam worker has none, and `tfcap --help` must answer at once."""
    check = f"import sys; {statement}; print(sorted({TENSORFLOW!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
