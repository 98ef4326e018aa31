"""`tfcap search` over what `caption_images` wrote."""

import hashlib
import json

import pytest
import tensorflow as tf
from PIL import Image
from tiny_export import write_tiny_export

from records.caption_manifest import CaptionManifest, CaptionShard
from records.caption_rows import CaptionRow, encode_rows, shard_name
from tfcap.cli.main import main
from tfcap.signatures import build_signatures

CAPTIONS = {
    (230, 10, 0): "a red car in the sun",
    (120, 20, 0): "a dog in the snow",
    (0, 220, 30): "a green field",
    (0, 30, 240): "the sun in the snow",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_export(tmp_path_factory.mktemp("export") / "1")


@pytest.fixture
def index(tmp_path, model):
    """An index of four pictures with embeddings, in two shards; `pictures` holds the files."""
    (tmp_path / "pictures").mkdir()
    rows = []
    for number, (colour, caption) in enumerate(CAPTIONS.items()):
        path = tmp_path / "pictures" / f"{number}.png"
        Image.new("RGB", (40, 40), colour).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append(CaptionRow(str(path), digest, caption, -1.0, tuple(c / 256 for c in colour)))
    return write_index(tmp_path / "index", model, rows)


def write_index(directory, model, rows):
    directory.mkdir()
    shards = []
    for at in (0, 1):
        content, file = encode_rows(rows[at::2], "tfrecord"), shard_name(at, 2, "tfrecord")
        (directory / file).write_bytes(content)
        shards.append(CaptionShard(file, len(rows[at::2]), len(content), "0" * 64))
    manifest = CaptionManifest(
        images="",
        plan={"format": "tfrecord"},
        card=json.loads((model / "assets.extra" / "tfcap.json").read_text()),
        shards=tuple(shards),
        embedding_size=rows[0].embedding and len(rows[0].embedding),
        rejected=0,
        dead_letters={},
    )
    (directory / "manifest.json").write_text(manifest.to_json())
    return directory


def found(capsys, index, *arguments):
    """Return (number of the picture, score) of each result."""
    assert main(["search", "--index", str(index), *map(str, arguments)]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    for _, path, caption in lines:
        assert caption == list(CAPTIONS.values())[number_of(path)]
    return [(number_of(path), float(score)) for score, path, _ in lines]


def number_of(path):
    return int(path.rpartition("/")[2].removesuffix(".png"))


def failure(capsys, *arguments):
    assert main(["search", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()[-1].removeprefix("tfcap search: error: ")


def test_a_caption_searched_for_verbatim_comes_first(index, capsys):
    for number, caption in enumerate(CAPTIONS.values()):
        first, *others = found(capsys, index, caption.upper() + "!")
        assert first == (number, 1.0)
        assert all(score < 1 for _, score in others)
    assert [number for number, _ in found(capsys, index, "dog snow", "--top", 1)] == [1]


def test_no_match_is_no_error(index, capsys):
    assert found(capsys, index, "unicorn") == []


def test_with_a_model_the_likeliest_pictures_come_first(index, model, capsys):
    # The tiny export says how much red is in a picture of which "red" is said.
    results = found(capsys, index, "something red", "--model", model)
    assert [number for number, _ in results][:2] == [0, 1]
    assert len(results) == 4 and all(score <= 0 for _, score in results)
    # What does not match by text comes last among the candidates.
    results = found(capsys, index, "red snow", "--model", model, "--candidates", 3)
    assert [number for number, _ in results] == [0, 1, 3]


def test_json(index, model, capsys):
    assert main(["search", "--index", str(index), "--json", "green field"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["by"] == "text"
    assert [row["caption"] for row in shown["results"]] == ["a green field"]
    assert main(["search", "--index", str(index), "--json", "x", f"--model={model}"]) == 0
    assert json.loads(capsys.readouterr().out)["by"] == "likelihood"


def test_like_a_picture_of_the_index_needs_no_model(index, tmp_path, capsys):
    copy = tmp_path / "copy.png"
    copy.write_bytes((tmp_path / "pictures" / "1.png").read_bytes())
    numbers = [number for number, _ in found(capsys, index, "--like", copy)]
    assert numbers[:2] == [1, 0] and len(numbers) == 4


def test_like_another_picture(index, model, tmp_path, capsys):
    other = tmp_path / "other.png"
    Image.new("RGB", (50, 40), (10, 90, 10)).save(other)
    results = found(capsys, index, "--like", other, "--model", model, "--top", 2)
    assert results[0][0] == 2 and results[0][1] > 0.95
    assert "give --model" in failure(capsys, "--index", index, "--like", other)
    other.write_bytes(b"no picture")
    refused = failure(capsys, "--index", index, "--like", other, "--model", model)
    assert refused.startswith(f"{other}: undecodable")


def test_embeddings_of_another_run_are_not_compared(index, tmp_path, capsys):
    other = write_tiny_export(tmp_path / "other")
    card = other / "assets.extra" / "tfcap.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"encoder_sha256": "f"}))
    picture = tmp_path / "new.png"
    Image.new("RGB", (50, 40)).save(picture)
    refused = failure(capsys, "--index", index, "--like", picture, "--model", other)
    assert "another run" in refused and "encoder_sha256 f, there None" in refused


def test_pictures_that_are_gone(index, model, tmp_path, capsys):
    (tmp_path / "pictures" / "0.png").unlink()
    assert main(["search", "--index", str(index), "red", f"--model={model}"]) == 0
    captured = capsys.readouterr()
    assert "0.png: left out" in captured.err and "0.png" not in captured.out
    for path in (tmp_path / "pictures").iterdir():
        path.unlink()
    refused = failure(capsys, "--index", index, "red", "--model", model)
    assert "could score none of 4 pictures" in refused


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "give either words in quotes"),
        (["a dog", "--like", "x.jpg"], "give either words in quotes"),
        (["..."], "no word is left of '...'"),
        (["a dog", "--top", "0"], "--top must be at least 1, got 0"),
    ],
)
def test_wrong_options(index, capsys, arguments, complaint):
    assert complaint in failure(capsys, "--index", index, *arguments)


def test_an_index_without_embeddings(tmp_path, model, capsys):
    plain = write_index(tmp_path / "plain", model, [CaptionRow("0.png", "", "a dog", -1.0)])
    refused = failure(capsys, "--index", plain, "--like", "x.png")
    assert "holds no embeddings" in refused


def test_from_pictures_to_results_with_a_captioner(captioner, jpeg, tmp_path, capsys):
    """A real export, captioned by the Beam job, searched by text and by likelihood."""
    from beam_jobs.caption_images import main as caption_images
    from records.caption_manifest import load_caption_manifest, read_captions

    export = tmp_path / "export"
    module, signatures = build_signatures(captioner, portable=True)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    needed = {name: signatures[name] for name in ("serving_default", "score")}
    tf.saved_model.save(module, str(export), needed, options)
    card = {
        "portable": True,
        "picture": captioner.picture.to_dict(),
        "caption": captioner.caption.to_dict(),
        "search": {"beams": 1, "length_penalty": 0.0, "no_repeat": 0},
    }
    (export / "assets.extra").mkdir()
    (export / "assets.extra" / "tfcap.json").write_text(json.dumps(card))
    pictures = {tmp_path / f"{seed}.jpg": jpeg(seed) for seed in range(10)}
    for path, content in pictures.items():
        path.write_bytes(content)
    index = tmp_path / "index"
    command = [f"--model={export}", f"--images={tmp_path}/*.jpg", f"--output={index}"]
    assert caption_images([*command, "--batch-size=4"]) == 0
    rows = {row.path: row for row in read_captions(index, load_caption_manifest(index))}
    said = signatures["serving_default"](image_bytes=tf.constant(list(pictures.values())))
    for path, caption, log_prob in zip(pictures, said["caption"], said["log_prob"], strict=True):
        row = rows[str(path)]
        assert row.caption == caption.numpy().decode()
        assert row.log_prob == pytest.approx(float(log_prob), rel=1e-3)
    capsys.readouterr()
    wanted = max(rows.values(), key=lambda row: len(row.caption))
    assert main(["search", f"--index={index}", "--json", wanted.caption]) == 0
    best = json.loads(capsys.readouterr().out)["results"][0]
    assert best["caption"] == wanted.caption
    command = ["search", f"--index={index}", f"--model={export}", "--json", wanted.caption]
    assert main(command) == 0
    scores = {row["path"]: row["score"] for row in json.loads(capsys.readouterr().out)["results"]}
    # The greedy caption's own log_prob is what `score` gives it for that picture.
    assert len(scores) == 10
    assert scores[wanted.path] == pytest.approx(wanted.log_prob, rel=1e-3)
