"""What captions cost: over encoding alone, by each search, and the way notebooks make them.

    python tests/bench/captioning_cost.py --run RUN --images DIR [--json FILE]

All get the same pictures, in batches of 1 and 32, and take turns within each round, after one
uncounted round: each turn is half a second of calls, or one where that takes longer, and counts
with their mean. Medians and the spread between the 10th and 90th percentiles are over the rounds.

    encoder                  the export's, with BatchNorm folded, on decoded pixels in memory
    greedy, beam 3           the signatures `serving_default` and `beam`: from the bytes of picture
                             files to strings
    decode pictures          the signatures' first part alone
    greedy from features     the search alone, on features in memory; so `beam 3 from features`
    model.predict, features  the notebook way: one `predict` of the same decoder for each word, on
                             the words so far, filled up to the longest caption; the likeliest word
                             is chosen in NumPy. The captions must be those of greedy.
    model.predict, pictures  the same after Pillow has decoded the pictures, and `predict` of the
                             Keras encoder
"""

import argparse
import functools
import io
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from records.vocabulary import END_ID, PAD_ID, START_ID
from tfcap import search
from tfcap.bench.measure import add_arguments, alternate, ratios, report
from tfcap.captioner import Captioner, load_captioner
from tfcap.encoders import inference_encoder
from tfcap.signatures import build_signatures
from tfcap.uploads import decode_upload

BATCH_SIZES = (1, 32)
BEAMS = 3
TURN_SECONDS = 0.5


class WholeCaptions(keras.Model):
    """A decoder as notebooks have it: features and the words so far in, scores of all words out."""

    def __init__(self, captioner: Captioner):
        super().__init__()
        self.decoder, self.max_words = captioner.decoder, captioner.max_words

    def call(self, inputs):
        features, words = inputs
        return self.decoder.logits(self.decoder(features, words[:, None]))[:, 0]

    def caption(self, features: np.ndarray) -> np.ndarray:
        """Return the greedy captions of features [B, h, w, C], int32 [B, max_words + 1]."""
        rows = len(features)
        words = np.full((rows, self.max_words + 2), PAD_ID, np.int32)
        words[:, 0] = START_ID
        ended = np.zeros(rows, bool)
        for position in range(self.max_words + 1):
            scores = self.predict([features, words[:, :-1]], verbose=0)[:, position]
            chosen = END_ID + scores[:, END_ID:].argmax(axis=1)
            chosen = chosen if position < self.max_words else np.full(rows, END_ID)
            words[:, position + 1] = np.where(ended, PAD_ID, chosen)
            ended |= chosen == END_ID
            if ended.all():
                break
        return words[:, 1:]


def make_peers(captioner: Captioner, encoded: list[bytes]) -> dict[str, Callable]:
    """Return the measured calls, by name, over one batch of pictures."""
    _, signatures = build_signatures(captioner, portable=True)
    rows = tf.constant(encoded)
    pixels = tf.stack([decode_upload(row, captioner.picture) for row in rows])
    frozen = inference_encoder(captioner.encoder)
    encode = tf.function(lambda: frozen(pixels))
    features = encode()
    decode = tf.function(
        lambda: tf.map_fn(
            lambda row: decode_upload(row, captioner.picture), rows, fn_output_signature=tf.uint8
        )
    )
    of_captions = (captioner.decoder, features, captioner.max_words)
    greedy = tf.function(lambda: search.greedy(*of_captions))
    beam = tf.function(lambda: search.beam(*of_captions, BEAMS))
    notebook = WholeCaptions(captioner)
    if (notebook.caption(features.numpy()) != greedy().words.numpy()).any():
        raise SystemExit("the notebook way says other captions than greedy decoding does")
    return {
        "encoder": encode,
        "greedy": lambda: signatures["serving_default"](image_bytes=rows),
        f"beam {BEAMS}": lambda: signatures["beam"](image_bytes=rows),
        "decode pictures": decode,
        "greedy from features": greedy,
        f"beam {BEAMS} from features": beam,
        "model.predict, features": lambda: notebook.caption(features.numpy()),
        "model.predict, pictures": lambda: notebook.caption(
            captioner.encoder.predict(_read(encoded, captioner.picture.size), verbose=0)
        ),
    }


def _read(encoded: list[bytes], size: int) -> np.ndarray:
    pictures = (Image.open(io.BytesIO(row)).convert("RGB") for row in encoded)
    squares = [picture.resize((size, size), Image.Resampling.BILINEAR) for picture in pictures]
    return np.stack([np.asarray(square, np.float32) for square in squares])


def seconds_a_call(call: Callable) -> float:
    """Call for a turn, and fetch all that comes: TensorFlow may return before the work is done."""
    start, calls = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < TURN_SECONDS:
        tf.nest.map_structure(np.asarray, call())
        calls += 1
    return spent / calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True, metavar="RUN")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    add_arguments(parser, rounds=9)
    arguments = parser.parse_args()
    paths = sorted(arguments.images.glob("*.jpg"))[: max(BATCH_SIZES)]
    captioner = load_captioner(arguments.run)
    metrics = {}
    for batch_size in BATCH_SIZES:
        calls = make_peers(captioner, [path.read_bytes() for path in paths[:batch_size]])
        peers = {name: functools.partial(seconds_a_call, call) for name, call in calls.items()}
        seconds = alternate(peers, arguments.rounds, uncounted=1)
        what = f"batch {batch_size}"
        for name, values in seconds.items():
            metrics[f"{what}, {name}: ms a picture"] = [1000 * each / batch_size for each in values]
        pairs = (("greedy", "encoder"), (f"beam {BEAMS}", "greedy"))
        pairs += ((f"beam {BEAMS} from features", "greedy from features"),)
        pairs += (("model.predict, features", "greedy from features"),)
        pairs += (("model.predict, features", f"beam {BEAMS} from features"),)
        pairs += (("model.predict, pictures", "greedy"),)
        for over, under in pairs:
            metrics[f"{what}, {over} / {under}"] = ratios(seconds[over], seconds[under])
    report(metrics, {"run": str(arguments.run), "pictures": len(paths)}, arguments.json)


if __name__ == "__main__":
    main()
