import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from records.captions import CaptionSpec
from tfcap.signatures import build_signatures


@pytest.fixture(scope="module")
def signatures(captioner):
    return build_signatures(captioner, portable=True)[1]


def call(function, **columns):
    outputs = function(**{name: tf.constant(rows, tf.string) for name, rows in columns.items()})
    return {name: value.numpy() for name, value in outputs.items()}


def test_caption_equals_the_model(captioner, signatures, jpeg):
    pictures = [jpeg(seed) for seed in range(6)]
    outputs = call(signatures["serving_default"], image_bytes=pictures)
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(picture))) for picture in pictures])
    features = captioner.encoder(pixels.astype(np.float32), training=False)
    assert outputs["caption"].tolist() == captioner.greedy(features).numpy().tolist()
    assert outputs["error"].tolist() == [b""] * 6
    assert (outputs["log_prob"] < 0).all()


def test_bad_rows_leave_their_neighbours_alone(signatures, jpeg):
    good = [jpeg(seed) for seed in range(3)]
    alone = call(signatures["serving_default"], image_bytes=good)
    rows = [b"", good[0], b"no picture", good[1][:200], good[1], jpeg(0)[:-400] + b"\0", good[2]]
    outputs = call(signatures["serving_default"], image_bytes=rows)
    places = [1, 4, 6]
    assert outputs["caption"][places].tolist() == alone["caption"].tolist()
    np.testing.assert_allclose(outputs["log_prob"][places], alone["log_prob"], rtol=1e-4)
    for row in (0, 2, 3):
        assert outputs["error"][row].startswith(b"image_bytes cannot be decoded")
        assert outputs["caption"][row] == b"" and outputs["log_prob"][row] == 0


@pytest.mark.parametrize("rows", [[], [b"no picture"]])
def test_a_batch_without_a_good_row(signatures, rows):
    outputs = call(signatures["serving_default"], image_bytes=rows)
    assert outputs["caption"].tolist() == [b""] * len(rows)
    assert outputs["log_prob"].shape == (len(rows),)
    for name in ("beam", "embed", "explain"):
        outputs = call(signatures[name], image_bytes=rows)
        assert all(len(column) == len(rows) for column in outputs.values())
        assert not any(value.any() for key, value in outputs.items() if value.dtype == np.float32)
    for name, column in (("complete", "prompt"), ("score", "caption")):
        outputs = call(signatures[name], image_bytes=rows, **{column: ["a dog"] * len(rows)})
        assert [error != b"" for error in outputs["error"]] == [True] * len(rows)


def test_other_formats_and_sizes(signatures, jpeg):
    picture = Image.open(io.BytesIO(jpeg(1)))
    files = {}
    for name in ("PNG", "BMP"):
        files[name] = io.BytesIO()
        picture.save(files[name], name)
    files["large PNG"] = io.BytesIO()
    picture.resize((640, 320)).save(files["large PNG"], "PNG")
    files["GIF"] = io.BytesIO()
    frames = [picture.convert("P"), picture.rotate(90).convert("P")]
    frames[0].save(files["GIF"], "GIF", save_all=True, append_images=frames[1:])
    files["gray"] = io.BytesIO()
    picture.convert("L").save(files["gray"], "JPEG")
    rows = [file.getvalue() for file in files.values()]
    outputs = call(signatures["serving_default"], image_bytes=rows)
    assert dict(zip(files, outputs["error"].tolist(), strict=True)) == dict.fromkeys(files, b"")
    # A lossless copy of the same pixels gives the same caption.
    expected = call(signatures["serving_default"], image_bytes=[jpeg(1)])
    assert outputs["caption"][:2].tolist() == expected["caption"].tolist() * 2


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "JPEG"])
def test_a_bomb_is_refused_by_its_header(signatures, jpeg, form):
    """A header of 60,000 x 60,000 pixels with no data behind it must not be allocated for."""
    side = 60_000
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, form)
    content = bytearray(file.getvalue())
    if form == "PNG":
        content[16:24] = side.to_bytes(4, "big") * 2
    elif form == "GIF":
        content[6:10] = side.to_bytes(2, "little") * 2
    elif form == "BMP":
        content[18:26] = side.to_bytes(4, "little") * 2
    else:
        frame = content.index(b"\xff\xc0")
        content[frame + 5 : frame + 9] = side.to_bytes(2, "big") * 2
    outputs = call(signatures["serving_default"], image_bytes=[bytes(content), jpeg(1)])
    assert outputs["error"][0] != b"" and outputs["error"][1] == b""


def test_complete_goes_on_from_the_prompt(signatures, jpeg):
    prompts = ["A DOG!", "", "the Unicorn", "a a a a a a a a"]
    outputs = call(signatures["complete"], image_bytes=[jpeg(2)] * 4, prompt=prompts)
    free = call(signatures["serving_default"], image_bytes=[jpeg(2)])
    assert outputs["caption"][0].startswith(b"a dog")
    assert outputs["caption"][1] == free["caption"][0]
    assert outputs["caption"][2].startswith(b"the unicorn")
    assert outputs["error"][3] == b"prompt has more than 6 words"
    assert outputs["caption"][3] == b""


def test_prompts_are_cleaned_as_the_dataset_was(captioner, jpeg):
    spec = CaptionSpec(normalisation="unicode", digits="mask")
    other = dataclasses.replace(captioner, caption=spec)
    complete = build_signatures(other, portable=True)[1]["complete"]
    outputs = call(complete, image_bytes=[jpeg(2)], prompt=["Über 12 犬!"])
    assert outputs["caption"][0].decode().startswith("über 00 犬")


def test_score_of_the_greedy_caption_is_its_log_prob(signatures, jpeg):
    pictures = [jpeg(seed) for seed in range(20)]
    found = call(signatures["serving_default"], image_bytes=pictures)
    captions = [caption.decode() for caption in found["caption"]]
    scores = call(signatures["score"], image_bytes=pictures, caption=captions)
    np.testing.assert_allclose(scores["log_prob"], found["log_prob"], rtol=1e-3, atol=1e-4)
    words = np.array([len(caption.split()) + 1 for caption in captions])
    np.testing.assert_allclose(scores["perplexity"], np.exp(-scores["log_prob"] / words), rtol=1e-4)
    raw = call(signatures["score"], image_bytes=pictures[:1], caption=["A  Dog's!"])
    clean = call(signatures["score"], image_bytes=pictures[:1], caption=["a dog 's"])
    assert raw["log_prob"] == clean["log_prob"]
