"""`tfcap bench`: what it measures, what it concludes, and what it says when it cannot."""

import argparse
import functools
import json
import re
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.build_records import main as build_records
from tfcap.bench import measure
from tfcap.bench.stages import REMEDIES, implied_rate, limiting
from tfcap.cli.main import COMMANDS, main
from tfcap.encoders import ENCODERS

SPEEDS = st.lists(st.floats(0.1, 1e6), min_size=2, max_size=7)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Records of 12 noisy pictures, 9 of them to train; not square, so that they are resized."""
    import numpy as np
    from PIL import Image

    source = tmp_path_factory.mktemp("source")
    (source / "Images").mkdir()
    names = [f"{number:02}.jpg" for number in range(12)]
    random = np.random.default_rng(1)
    for name in names:
        pixels = random.integers(0, 256, (64, 80, 3), np.uint8)
        Image.fromarray(pixels).save(source / "Images" / name)
    rows = [f"{name},{text}" for name in names for text in ("Noise.", "A lot of noise")]
    (source / "captions.txt").write_text("\n".join(["image,caption", *rows]) + "\n")
    (source / "Flickr_8k.trainImages.txt").write_text("\n".join(names[:9]))
    (source / "Flickr_8k.devImages.txt").write_text("\n".join(names[9:]))
    output = source / "dataset"
    flags = {"images": source / "Images", "captions": source / "captions.txt", "splits": source}
    given_ = [word for flag, value in flags.items() for word in (f"--{flag}", str(value))]
    sizes = ["--image-size", "64", "--min-count", "1", "--shards-per-split", "2"]
    assert build_records([*given_, *sizes, "--output", str(output)]) == 0
    return output


def tiny_encoder(input_shape, weights):
    """Build a network of one layer: what is measured here is measured on any."""
    import keras

    picture = keras.Input(input_shape)
    features = keras.layers.Conv2D(4, 3, strides=32, padding="same")(picture)
    return keras.Model(picture, features)


@pytest.fixture
def figures(dataset, tmp_path_factory, monkeypatch):
    """A function that runs a benchmark; returns its JSON and what it printed."""
    monkeypatch.setitem(ENCODERS, "tiny", tiny_encoder)
    directory = tmp_path_factory.mktemp("figures")

    def measured(what, capsys):
        path = directory / f"{what}.json"
        sizes = ["--pictures", "9", "--batch-size", "4", "--rounds", "2"]
        flags = ["--dataset", str(dataset), "--encoder", "tiny", *sizes, "--json", str(path)]
        assert main(["bench", what, *flags]) == 0
        return json.loads(path.read_text()), capsys.readouterr().out

    return measured


def tfcap(command, flags):
    return main([command, *flags])


def medians(found, ending="/s"):
    return {
        name.rpartition(":")[0]: summary["median"]
        for name, summary in found["metrics"].items()
        if name.endswith(ending)
    }


def check_table(found, printed):
    """Every metric is a line of the table, and its two rounds are in the JSON."""
    for name, summary in found["metrics"].items():
        assert re.search(rf"^{re.escape(name)} +[\d.e-]+ \[", printed, re.MULTILINE)
        assert len(summary["runs"]) == 2
    assert f"bottleneck: {found['bottleneck']}" in printed
    assert found["remedy"] in printed


def test_data_measures_every_stage_and_names_the_slowest(figures, capsys):
    found, printed = figures("data", capsys)
    check_table(found, printed)
    rates = medians(found)
    stages = {
        "read": rates["read by index"],
        "parse": rates["parse"],
        "decode": rates["tf.io.decode_jpeg"],
        "resize": rates["resize"],
        "encode": rates["encode"],
    }
    assert found["bottleneck"] == min(stages, key=stages.get)
    assert {"read in order", "decode", "end to end"} <= rates.keys()
    implied = found["metrics"]["implied by read, decode and encode: pictures/s"]["runs"]
    for index, rate in enumerate(implied):
        parts = ("read by index", "decode", "encode")
        each = [found["metrics"][f"{part}: pictures/s"]["runs"][index] for part in parts]
        assert rate == pytest.approx(1 / sum(1 / part for part in each))


def test_encoder_measures_both_at_every_batch_size_and_their_difference(
    figures, capsys, monkeypatch
):
    monkeypatch.delattr("tensorflow.lite.Interpreter")  # where there is none, two are left
    found, printed = figures("encoder", capsys)
    check_table(found, printed)
    for size in (1, 8, 32):
        assert {f"batch {size}, ours", f"batch {size}, stock Keras"} <= medians(found).keys()
    assert found["largest difference"] < 1e-3
    assert not [name for name in found["metrics"] if "LiteRT" in name]


def test_lite_rt_runs_the_same_network_at_any_batch_size():
    import keras
    import numpy as np
    import tensorflow as tf

    from tfcap.bench.encoder import lite_encoder

    picture = keras.Input([8, 8, 3])
    encoder = keras.Model(picture, keras.layers.Conv2D(4, 3)(picture))
    for batch_size in (1, 3):
        shape = [batch_size, 8, 8, 3]
        pixels = tf.constant(np.random.default_rng(1).integers(0, 256, shape, np.uint8))
        found = lite_encoder(encoder, batch_size)(pixels)
        np.testing.assert_allclose(found, encoder(tf.cast(pixels, tf.float32)), atol=1e-3)


def test_train_measures_every_place_of_the_encoder_and_the_step_alone(figures, capsys):
    found, printed = figures("train", capsys)
    check_table(found, printed)
    pictures, captions = medians(found, "pictures/s"), medians(found, "captions/s")
    for place in ("pipeline", "device", "cache"):
        peer = f"encoder on {place}"
        assert captions[peer] == pytest.approx(2 * pictures[peer])  # two captions a picture
        share = found["metrics"][f"{peer}: share of the time that waits for data"]["median"]
        assert 0 < share < 1
    slower = pictures["features alone"] < pictures["step alone"]
    assert found["bottleneck"] == ("features" if slower else "step")


def test_decode_measures_captions_at_every_batch_size(figures, capsys):
    found, printed = figures("decode", capsys)
    check_table(found, printed)
    assert set(medians(found, "captions/s")) == {f"batch {size}, greedy" for size in (1, 8, 32)}
    assert 0 <= found["setting"]["words a caption"] <= 20


@given(st.dictionaries(st.sampled_from(sorted(REMEDIES)), SPEEDS, min_size=1))
def test_the_bottleneck_is_the_stage_with_the_lowest_median(rates):
    found = limiting(rates)
    assert median(rates[found["bottleneck"]]) == min(map(median, rates.values()))
    assert found["remedy"] == REMEDIES[found["bottleneck"]]


@given(SPEEDS)
def test_stages_that_share_the_cores_are_together_slower_than_any_of_them(rates):
    assert implied_rate(rates) < min(rates)
    assert implied_rate([rates[0]]) == pytest.approx(rates[0])
    assert implied_rate([rates[0]] * 4) == pytest.approx(rates[0] / 4)


@pytest.mark.parametrize("remedy", REMEDIES.values(), ids=REMEDIES)
def test_every_flag_that_a_remedy_names_is_one_of_its_command(remedy, capsys):
    commands = {"build_records": build_records}
    commands |= {f"tfcap {name}": functools.partial(tfcap, name) for name in COMMANDS}
    (command,) = (name for name in commands if name in remedy)
    with pytest.raises(SystemExit):
        commands[command](["--help"])
    flags = re.findall(r"--[\w-]+", remedy)
    assert flags and set(flags) <= set(re.findall(r"--[\w-]+", capsys.readouterr().out))


def test_peers_take_turns_and_warm_up_rounds_do_not_count():
    calls = []

    def peer(name):
        return lambda: calls.append(name) or len(calls)

    found = measure.alternate({"a": peer("a"), "b": peer("b")}, rounds=2, uncounted=1)
    assert calls == ["a", "b"] * 3
    assert found == {"a": [3, 5], "b": [4, 6]}


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=9))
def test_a_summary_lies_within_its_values(values):
    summary = measure.summarise(values)
    low, high = min(values), max(values)
    assert low <= summary["p10"] <= summary["median"] <= summary["p90"] <= high


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--batch-size", "0"], "--batch-size must be at least 1, got 0"),
        (["--pictures", "-3"], "--pictures must be at least 1, got -3"),
        (["--encoder", "resnet"], "unknown encoder 'resnet'"),
        (["--encoder-weights", "/nowhere.h5"], "/nowhere.h5 is no weights file"),
        (["--json", "/nowhere/at/all.json"], "/nowhere/at is no directory"),
        (["--dataset", "/nowhere/at/all"], "/nowhere/at/all"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_line_and_exit_code_2(dataset, flags, said, capsys):
    assert main(["bench", "data", "--dataset", str(dataset), *flags]) == 2
    line = capsys.readouterr().err.strip()
    assert said in line and line.startswith("tfcap bench: error: ") and "\n" not in line


@pytest.mark.parametrize("flags", [["--rounds", "1"], ["--rounds", "x"]])
def test_one_round_is_refused_since_it_has_no_spread(dataset, flags, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "data", "--dataset", str(dataset), *flags])
    assert stopped.value.code == 2
    assert "at least 2" in capsys.readouterr().err


def test_a_path_that_cannot_be_read_is_the_parsers_error(tmp_path, capsys):
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--images", type=measure.readable(measure.jpegs))
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(["--images", str(tmp_path)])
    assert stopped.value.code == 2
    error = f"bench: error: argument --images: no *.jpg in {tmp_path}: give a directory of pictures"
    assert capsys.readouterr().err.splitlines()[-1] == error
    for name in ("b.jpg", "a.jpg", "c.png"):
        (tmp_path / name).touch()
    assert parser.parse_args(["--images", str(tmp_path)]).images == tmp_path
    assert [path.name for path in measure.jpegs(tmp_path)] == ["a.jpg", "b.jpg"]
