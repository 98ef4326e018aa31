"""`tfcap evaluate --html` of a run and of an export."""

import dataclasses
import re
import shutil
import sys

import pytest
from pages import Page, check_accessible, check_self_contained
from tiny import main

import tfcap.reports
from records.manifest import load_manifest
from tfcap import runs
from tfcap.config import RunConfig
from tfcap.decoders.lstm_attention import LSTMAttentionDecoder
from tfcap.export import load_export

pytest.importorskip("jinja2", reason="the report needs the extra `report`")
pytest.importorskip("matplotlib", reason="the report needs the extra `report`")

from tfcap.reports.evaluation_page import figure_text


def report_of_export(dataset, base, directory):
    source, path = dataset.parent, directory / "report.html"
    files = ["--images", str(source / "Images"), "--captions", str(source / "captions.txt")]
    files += ["--ids", str(source / "Flickr_8k.devImages.txt")]
    assert main(["evaluate", "--model", str(base), *files, "--html", str(path)]) == 0
    return path.read_text("utf-8")


def shown_text(page):
    return re.sub(r"\s+", " ", " ".join(Page(page).text))


def test_the_report_of_a_run_is_whole(dataset, run, tmp_path, capsys):
    path = tmp_path / "report.html"
    command = ["evaluate", "--run", str(run), "--dataset", str(dataset), "--html", str(path)]
    assert main([*command, "--beams", "2"]) == 0
    printed = capsys.readouterr().out
    assert f"wrote {path}" in printed
    page = path.read_text("utf-8")
    check_accessible(page)
    check_self_contained(page)
    text = shown_text(page)
    for fact in (str(run), "tiny, 64×64 pixels", "beams 2", load_manifest(dataset).fingerprint):
        assert fact in text
    assert "Looked at:" in page  # 6 pictures with their words
    assert page.count("<h4>") == 6
    assert "2 epochs" in text
    assert "by the rank of its rarest word" in text
    bleu = re.search(r"BLEU-4 +(\S+)", printed)[1]
    assert f"BLEU-4 {figure_text(float(bleu))}"[:11] in text


def test_the_report_of_an_export_explains_itself(dataset, run, tmp_path):
    base = tmp_path / "base"
    assert main(["export", "--run", str(run), "--output", str(base), "--portable"]) == 0
    page = report_of_export(dataset, base, tmp_path)
    check_accessible(page)
    text = shown_text(page)
    assert "Looked at:" in page
    assert "How rare words fare is not known" in text
    assert page.count("<h4>") == 6 and "not to be shown" not in page


def test_an_export_of_before_explain_gets_a_report_without_looks(
    dataset, run, tmp_path, monkeypatch
):
    base = tmp_path / "base"
    assert main(["export", "--run", str(run), "--output", str(base), "--portable"]) == 0
    loaded = load_export(base)
    signatures = {name: each for name, each in loaded.signatures.items() if name != "explain"}
    older = dataclasses.replace(loaded, signatures=signatures)
    monkeypatch.setattr("tfcap.export.load_export", lambda path: older)
    text = shown_text(report_of_export(dataset, base, tmp_path))
    assert "no signature `explain`: export the run again" in text and "Looked at:" not in text


def test_a_decoder_that_looks_nowhere_is_named(dataset, run, tmp_path, monkeypatch):
    command = ["evaluate", "--dataset", str(dataset), "--html", str(tmp_path / "report.html")]
    pooled = tmp_path / "pooled"
    shutil.copytree(run, pooled)
    config = RunConfig.load(run / runs.CONFIG)
    model = dataclasses.replace(config.model, pooled=True)
    dataclasses.replace(config, model=model).save(pooled / runs.CONFIG)
    assert main([*command, "--run", str(pooled)]) == 0
    assert "one vector, without places" in shown_text((tmp_path / "report.html").read_text("utf-8"))
    monkeypatch.setattr(LSTMAttentionDecoder, "attend", lambda *_: None)
    assert main([*command, "--run", str(run)]) == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "decoder lstm_attention has no attention" in shown_text(page)


def test_a_missing_extra_is_named_before_all_work(dataset, run, tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "tfcap.reports.page", raising=False)
    monkeypatch.delattr(tfcap.reports, "page", raising=False)
    monkeypatch.setattr("tfcap.captioner.load_captioner", None)  # no work
    monkeypatch.setitem(sys.modules, "jinja2", None)
    path = tmp_path / "report.html"
    command = ["evaluate", "--run", str(run), "--dataset", str(dataset), "--html", str(path)]
    assert main(command) == 2
    assert capsys.readouterr().err == (
        "tfcap evaluate: error: --html needs jinja2: pip install 'tfcap[report]'\n"
    )
    assert not path.exists()


def test_a_path_that_cannot_be_written_is_refused_before_all_work(run, dataset, tmp_path, capsys):
    command = ["evaluate", "--run", str(run), "--dataset", str(dataset), "--html"]
    for path in (tmp_path, tmp_path / "absent" / "report.html"):
        assert main([*command, str(path)]) == 2
        assert capsys.readouterr().err.count(str(path)) == 1
