"""Every decoder with every search: an export, loaded back, says what Keras says."""

import numpy as np
import pytest
import tensorflow as tf
from small_decoders import MAX_WORDS, SIZE, captioner_of, favour_end, make_decoder

from records.vocabulary import START_ID
from tfcap.decoders import DECODERS
from tfcap.search import SearchSpec, search
from tfcap.signatures import build_signatures
from tfcap.uploads import decode_upload

SEARCHES = {
    "greedy": SearchSpec(),
    "beam": SearchSpec(beams=3, length_penalty=0.5),
}


@pytest.mark.parametrize("kind", DECODERS)
def test_an_export_says_what_keras_says(kind, tiny_encoder, jpeg, tmp_path):
    decoder = make_decoder(kind, tiny_encoder.output_shape[1:], SIZE, scale=0.5)
    favour_end(decoder, SIZE, by=0.5)
    captioner = captioner_of(decoder, tiny_encoder)
    pictures = [jpeg(seed) for seed in range(12)]
    pixels = tf.stack([decode_upload(picture, captioner.picture) for picture in pictures])
    features = tiny_encoder(tf.cast(pixels, tf.float32))
    module, functions = tf.Module(), {}
    for name, how in SEARCHES.items():
        part, signatures = build_signatures(captioner, portable=True, how=how)
        setattr(module, name, part)
        functions[f"by {name}"] = signatures["serving_default"]
    functions |= {name: signatures[name] for name in ("score", "beam", "embed", "explain")}
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(tmp_path / "export"), functions, options)
    loaded = tf.saved_model.load(str(tmp_path / "export")).signatures
    rows = tf.constant(pictures)
    for name, how in SEARCHES.items():
        expected = search(decoder, features, MAX_WORDS, how)
        found = loaded[f"by {name}"](image_bytes=rows)
        captions = captioner.ids.decode(expected.words).numpy()
        assert found["caption"].numpy().tolist() == captions.tolist()
        np.testing.assert_allclose(found["log_prob"], expected.log_probs, rtol=1e-3)
        assert np.ptp(found["log_prob"]) > 0.01, "pictures must differ for this to test anything"
        scores = loaded["score"](image_bytes=rows, caption=found["caption"])
        np.testing.assert_allclose(scores["log_prob"], found["log_prob"], rtol=1e-3)
    check_the_others(loaded, rows, found, decoder, features)


def check_the_others(loaded, rows, found, decoder, features):
    """The search of `found` is that of these signatures."""
    best = loaded["beam"](image_bytes=rows)
    assert best["captions"].shape == best["log_probs"].shape == [len(rows), 3]
    assert best["captions"][:, 0].numpy().tolist() == found["caption"].numpy().tolist()
    embedding = loaded["embed"](image_bytes=rows)["embedding"]
    np.testing.assert_allclose(embedding, tf.reduce_mean(features, [1, 2]), rtol=1e-3, atol=1e-4)
    why = loaded["explain"](image_bytes=rows)
    tokens = why["tokens"].numpy()
    assert tokens.shape == why["log_probs"].shape == (len(rows), MAX_WORDS)
    said = [b" ".join(row).strip() for row in tokens]
    assert said == why["caption"].numpy().tolist() == found["caption"].numpy().tolist()
    # What is missing to the whole caption's is that of <end>.
    assert (tf.reduce_sum(why["log_probs"], 1) >= found["log_prob"] - 1e-4).numpy().all()
    sums = tf.reduce_sum(why["attention"], [2, 3]).numpy()
    words = tf.fill([len(rows), 1, 1], START_ID)
    first = decoder.attend(features, words)
    if first is None:
        assert not sums.any()
    else:
        np.testing.assert_allclose(sums, tokens != b"", atol=1e-4)
        some = tokens[:, 0] != b""
        assert some.any()
        expected = first[:, 0, 0].numpy()[some]
        np.testing.assert_allclose(why["attention"].numpy()[some, 0], expected, 1e-3, 1e-4)
