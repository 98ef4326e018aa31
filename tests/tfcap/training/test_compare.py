"""`tfcap compare`: rows of runs, and the table they make."""

import json

import tiny

from tfcap.cli.compare import format_rows


def test_runs_stand_on_one_table(dataset, run, tmp_path, capsys):
    other, table = tmp_path / "other", tmp_path / "table.json"
    assert tiny.train(dataset, other, "--decoder", "rnn", "--cell", "gru", "--pooled") == 0
    capsys.readouterr()
    command = ["compare", str(run), str(other), "--dataset", str(dataset), "--batch-size", "4"]
    assert tiny.main([*command, "--beams", "2", "--json", str(table)]) == 0
    printed = capsys.readouterr().out
    rows = {row["run"]: row for row in json.loads(table.read_text())}
    assert set(rows) == {run.name, "other"}
    assert rows["other"]["decoder"] == "rnn" and rows["other"]["encoder"] == "tiny, pooled"
    for name, row in rows.items():
        assert row["captions_per_second"] > 0 and row["training_minutes"] > 0
        low, high = row["intervals"]["CIDEr-D"]
        assert low <= row["CIDEr-D"] <= high
        assert f"{row['parameters']:,}" in next(
            line for line in printed.splitlines() if line.startswith(name)
        )
    assert "search beams=2" in printed


def test_a_split_of_one_batch_has_scores_and_no_rate(dataset, run, capsys):
    assert tiny.main(["compare", str(run), "--dataset", str(dataset)]) == 0
    assert " - " in capsys.readouterr().out.splitlines()[1]


def test_numbers_stand_below_each_other():
    scores = dict.fromkeys(("BLEU-1", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D"), 12.34)
    row = {
        "run": "a",
        "encoder": "e",
        "decoder": "d",
        "parameters": 1234567,
        **scores,
        "training_minutes": None,
        "captions_per_second": 5.0,
    }
    header, first, second = format_rows([row, {**row, "run": "longer", "BLEU-1": 1}]).splitlines()
    assert "1,234,567" in first and first.index("12.3") == second.index(" 1.0")
    assert len(header) == len(first) == len(second)


def test_what_is_no_run_is_named(dataset, tmp_path, capsys):
    assert tiny.main(["compare", str(tmp_path), "--dataset", str(dataset)]) == 2
    assert "is no run of `tfcap train`" in capsys.readouterr().err
