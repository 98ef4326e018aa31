"""A real export behind the server: the same captions as the model in this process."""

import base64

import httpx
import tensorflow as tf
from server_thread import running

from tfcap.signatures import build_signatures


def test_the_server_answers_as_the_model(captioner, jpeg, tmp_path):
    module, signatures = build_signatures(captioner, portable=False)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(tmp_path / "1"), signatures, options)
    pictures = [jpeg(0), b"broken", jpeg(2, (99, 50))]
    rows = [{"b64": base64.b64encode(picture).decode()} for picture in pictures]
    with running(tmp_path, "captions") as server:
        response = httpx.post(
            f"{server.url}/v1/models/captions:predict", json={"instances": rows}, timeout=60
        )
    expected = signatures["serving_default"](image_bytes=tf.constant(pictures))
    for number, row in enumerate(response.json()["predictions"]):
        for name in ("caption", "error"):
            assert row[name].encode() == expected[name][number].numpy()
        assert abs(row["log_prob"] - expected["log_prob"][number].numpy()) < 1e-4
