import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from records.errors import UserError
from records.tfrecord import read_records
from tfcap import export, runs
from tfcap.model_card import render_card
from tfcap.warm_up import REQUESTS

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def exports(small_run, tmp_path_factory) -> dict[bool, Path]:
    """Both exports of the run, by whether they are portable; a version 7 was there before."""
    base = tmp_path_factory.mktemp("exports")
    (base / "portable" / "7").mkdir(parents=True)
    return {
        portable: export.export_run(
            small_run, base / ("portable" if portable else "standard"), portable
        )
        for portable in (False, True)
    }


@pytest.fixture(scope="module")
def loaded(exports) -> dict[bool, export.Export]:
    """Both exports, loaded."""
    return {portable: export.load_export(path) for portable, path in exports.items()}


@pytest.fixture
def pictures(jpeg, tmp_path) -> list[Path]:
    paths = [tmp_path / f"{seed}.jpg" for seed in range(8)]
    for seed, path in enumerate(paths):
        path.write_bytes(jpeg(seed, (90, 70)))
    return paths


def ops_of(path: Path) -> set[str]:
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((path / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    nodes = [
        *graph.node,
        *(node for function in graph.library.function for node in function.node_def),
    ]
    return {node.op for node in nodes}


def test_only_the_standard_export_uses_text_ops(exports):
    def text_ops(path):
        return {op for op in ops_of(path) if op.startswith("TFText>")}

    assert text_ops(exports[False]) == {"TFText>WhitespaceTokenizeWithOffsetsV2"}
    assert text_ops(exports[True]) == set()


def test_weights_are_stored_once(exports, captioner):
    """The decoder's as variables, the encoder's as constants of the graph, BatchNorm folded in."""

    def size(variables):
        return sum(variable.numpy().nbytes for variable in variables)

    norms = [layer for layer in captioner.encoder.layers if "_bn" in layer.name]
    norm = sum(size(layer.variables) for layer in norms)
    for path in exports.values():
        stored = sum(file.stat().st_size for file in (path / "variables").iterdir())
        assert 0 <= stored - size(captioner.decoder.variables) < 50_000
        graph = (path / "saved_model.pb").stat().st_size
        # Beside the weights, the operations of six signatures.
        assert 0 <= graph - (size(captioner.encoder.variables) - norm) < 1_500_000


def test_both_exports_answer_as_the_run(loaded, captioner, jpeg):
    from tfcap.signatures import build_signatures

    _, own = build_signatures(captioner, portable=True)
    columns = {
        "serving_default": {},
        "complete": {"prompt": ["A Dog's", "t-shirt…", "", "xyz"]},
        "score": {"caption": ["A dog.", "", "the cat sits", "naïve"]},
        "beam": {},
        "embed": {},
        "explain": {},
    }
    rows = {"image_bytes": tf.constant([jpeg(0), b"broken", jpeg(2, (99, 50)), jpeg(3)])}
    for exported in loaded.values():
        assert set(exported.signatures) == set(columns)
        for name, column in columns.items():
            inputs = rows | {key: tf.constant(texts) for key, texts in column.items()}
            expected, found = own[name](**inputs), exported.signatures[name](**inputs)
            assert expected.keys() == found.keys()
            for key, value in expected.items():
                if value.dtype == tf.string:
                    assert found[key].numpy().tolist() == value.numpy().tolist()
                else:
                    assert abs(found[key] - value).numpy().max() < 1e-4


def test_portable_export_loads_without_this_repository_or_tensorflow_text(
    exports, loaded, jpeg, tmp_path
):
    program = """
import sys, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
picture = tf.constant([open(sys.argv[2], "rb").read()])
found = loaded.signatures["serving_default"](image_bytes=picture)
print("caption:", found["caption"].numpy()[0].decode())
assert "tensorflow_text" not in sys.modules and "tfcap" not in sys.modules
"""
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(jpeg(0))
    done = subprocess.run(
        [sys.executable, "-c", program, exports[True], picture],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = loaded[True].signatures["serving_default"](image_bytes=tf.constant([jpeg(0)]))
    assert f"caption: {expected['caption'].numpy()[0].decode()}" in done.stdout


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_c_program_captions_with_the_portable_export(exports, loaded, pictures, tmp_path):
    source = REPOSITORY / "serving" / "loaders" / "c"
    build = tmp_path / "build"
    shutil.copytree(source, build)
    subprocess.run(["make", "-s", f"PYTHON={sys.executable}"], cwd=build, check=True)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    program = [build / "caption", exports[True]]
    done = subprocess.run([*program, *pictures, broken], capture_output=True, text=True)
    found = loaded[True].signatures["serving_default"](
        image_bytes=tf.constant([path.read_bytes() for path in pictures])
    )
    captions = [caption.decode() for caption in found["caption"].numpy()]
    expected = [f"{path}\t{caption}" for path, caption in zip(pictures, captions, strict=True)]
    assert done.stdout.splitlines() == expected
    assert done.returncode == 1 and f"{broken}: image_bytes cannot be decoded" in done.stderr
    # The standard export needs ops that a bare runtime lacks; the program must say so.
    refused = subprocess.run([build / "caption", exports[False], pictures[0]], capture_output=True)
    assert refused.returncode == 2 and b"WhitespaceTokenize" in refused.stderr


def test_versions_count_up_and_nothing_partial_stays(exports, loaded):
    base = exports[True].parent
    assert sorted(path.name for path in base.iterdir()) == ["7", "8"]
    assert export.find_export(base) == exports[True] == base / "8"
    card = json.loads((base / "8" / export.CARD).read_text())
    assert card["picture_digest"] == loaded[True].picture.digest()


def test_the_requests_to_warm_up_with_are_answered_well(small_run, tmp_path):
    """One that fails would keep TF Serving from serving the version."""
    path = export.export_run(small_run, tmp_path / "base", portable=True, sizes=(1, 3))
    signatures = export.load_export(path).signatures
    asked = []
    for record in read_records(path / REQUESTS):
        log = PredictionLog.FromString(record)
        request = log.predict_log.request
        name = request.model_spec.signature_name
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        errors = signatures[name](**inputs)["error"].numpy().tolist()
        assert set(errors) == {b""}
        asked.append((name, len(errors)))
    singles = [(name, 1) for name in signatures]
    assert sorted(asked) == sorted([*singles, ("serving_default", 3)])


def test_the_card_is_a_page_with_the_figures_of_the_json(exports, small_run):
    page = (exports[True] / export.CARD_PAGE).read_text()
    card = json.loads((exports[True] / export.CARD).read_text())
    for fact in (card["picture_digest"], card["decoder_sha256"], card["dataset_fingerprint"]):
        assert fact in page
    assert (
        card["decoder_sha256"]
        == hashlib.sha256((small_run / runs.DECODER).read_bytes()).hexdigest()
    )
    assert "not trained here" in page
    history = [{"epoch": 1, "val_CIDEr": 0.4563}, {"epoch": 2, "val_CIDEr": 0.31}]
    assert "| CIDEr | 0.4563 |" in render_card(card | {"best_epoch": history[0]})


def test_saved_model_cli_shows_and_runs_an_export(exports, jpeg, tmp_path):
    """TensorFlow's own program, to which the repository is unknown."""
    command = [Path(sys.executable).with_name("saved_model_cli")]
    show = [*command, "show", "--dir", exports[True], "--all"]
    shown = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    for name in ("serving_default", "complete", "score", "beam", "embed", "explain"):
        assert f"signature_def['{name}']" in shown
    np.save(tmp_path / "rows.npy", np.array([jpeg(0), b"no picture"]))
    rows = ["--inputs", f"image_bytes={tmp_path / 'rows.npy'}", "--outdir", tmp_path]
    tags = ["--tag_set", "serve", "--signature_def", "serving_default"]
    run_it = [*command, "run", "--dir", exports[True], *tags, *rows]
    subprocess.run(run_it, capture_output=True, check=True, cwd=tmp_path)
    errors = np.load(tmp_path / "error.npy", allow_pickle=True)
    assert [bool(error) for error in errors] == [False, True]


def test_a_failed_export_leaves_nothing(small_run, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        (Path(arguments[1]) / "variables").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(KeyboardInterrupt):
        export.export_run(small_run, tmp_path / "base", portable=True)
    assert list((tmp_path / "base").iterdir()) == []


def test_what_is_no_export_is_refused_by_name(tmp_path, exports):
    with pytest.raises(UserError, match="holds no export"):
        export.load_export(tmp_path / "absent")
    foreign = tmp_path / "foreign"
    shutil.copytree(exports[True], foreign)
    (foreign / export.CARD).unlink()
    with pytest.raises(UserError, match="not made by"):
        export.load_export(foreign)
    damaged = tmp_path / "damaged"
    shutil.copytree(exports[True], damaged)
    (damaged / "saved_model.pb").write_bytes(b"\xff\xff")
    with pytest.raises(UserError, match="cannot be loaded"):
        export.load_export(damaged)
