"""`tfcap score`: what it prints and writes, and what it refuses."""

import json
import subprocess
import sys

import pytest

from tfcap.cli.main import main

REFERENCES = {"1.jpg": ["A dog runs .", "The dog runs"], "2.jpg": ["Two boys play", "Boys"]}


@pytest.fixture
def files(tmp_path):
    """Flags that name references and predictions, and a function that writes other predictions."""

    def write(name, captions):
        entries = [{"image_id": key, "caption": each} for key, each in captions.items()]
        (tmp_path / name).write_text(json.dumps(entries))
        return str(tmp_path / name)

    (tmp_path / "references.json").write_text(json.dumps(REFERENCES))
    good = write("good.json", {"1.jpg": "a dog runs", "2.jpg": "two boys"})
    references = ["--references", str(tmp_path / "references.json")]
    return [*references, "--predictions", good], write


def test_scores_are_printed_and_written(files, tmp_path, capsys):
    flags, write = files
    poor = write("poor.json", {"2.jpg": "a cat", "1.jpg": "a dog"})
    path = tmp_path / "scores.json"
    command = ["score", *flags, "--human", "--against", poor, "--json", str(path)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    content = json.loads(path.read_text())
    assert content["signature"] in printed and "human" in printed
    assert content["differences"]["ROUGE-L"]["value"] > 0
    assert f"{content['scores']['CIDEr-D']['value']:.4f}" in printed
    assert f"{content['differences']['CIDEr-D']['value']:+.4f}" in printed
    assert content["per_picture"]["2.jpg"]["caption"] == "two boys"


def test_pictures_without_a_prediction_are_counted(files, capsys):
    flags, write = files
    assert main(["score", *flags[:2], "--predictions", write("one.json", {"1.jpg": "dog"})]) == 0
    counts = [line.split() for line in capsys.readouterr().out.splitlines()[:2]]
    assert counts == [["pictures", "1"], ["left", "out", "1"]]


@pytest.mark.parametrize(
    "more",
    [
        ["--similarity", "all-MiniLM-L6-v2"],
        ["--trained-on", "/nowhere/at/all"],
        ["--against", "/nowhere/at/all"],
        ["--references", "/nowhere/at/all"],
    ],
    ids=" ".join,
)
def test_what_the_user_can_mend_is_one_line(files, capsys, more):
    flags, _ = files
    assert main(["score", *flags, *more]) == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith("tfcap score: error: ") and more[1] in line and "\n" not in line


def test_captions_are_scored_without_tensorflow(files):
    flags, _ = files
    code = "import sys; from tfcap.cli.main import main; main(sys.argv[1:]); "
    code += "sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code, "score", *flags], check=True, capture_output=True)
