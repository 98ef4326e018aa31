"""What captions cost: over encoding alone, by each search, and the way notebooks make them.

    python tests/bench/captioning_cost.py --run RUN --images DIR [--json FILE]

All get the same pictures and take turns within each round, after one uncounted round: SINGLES
pictures one by one, then a batch of BATCH. Each turn goes over its pictures for half a second, or
once where that takes longer, and counts with the mean; one picture would do for none, since files
and captions differ in length. Medians and the spread between the 10th and 90th percentiles are
over the rounds.

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

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from records.vocabulary import END_ID, PAD_ID, START_ID
from tfcap import search
from tfcap.bench.measure import add_arguments, alternate, jpegs, ratios, readable, report
from tfcap.captioner import Captioner, load_captioner
from tfcap.config import RunConfig
from tfcap.encoders import inference_encoder
from tfcap.rows import decode_rows
from tfcap.runs import CONFIG
from tfcap.signatures import build_signatures

SINGLES, BATCH = 8, 32
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


def make_peers(captioner: Captioner, batches: list[list[bytes]]) -> dict[str, Callable]:
    """Return the measured calls, by name: each goes over all batches of picture files once."""
    _, signatures = build_signatures(captioner, portable=True)
    frozen, decoder = inference_encoder(captioner.encoder), captioner.decoder.for_search()
    notebook = WholeCaptions(captioner)
    functions = {
        "encoder": tf.function(frozen),
        "decode": tf.function(lambda rows: decode_rows(rows, captioner.picture)[0]),
        "greedy": tf.function(
            lambda features: search.greedy(decoder, features, captioner.max_words)
        ),
        "beam": tf.function(
            lambda features: search.beam(decoder, features, captioner.max_words, BEAMS)
        ),
    }
    rows = [tf.constant(batch) for batch in batches]
    pixels = [functions["decode"](batch) for batch in rows]
    features = [functions["encoder"](batch) for batch in pixels]
    for batch in features:
        if (notebook.caption(batch.numpy()) != functions["greedy"](batch).words.numpy()).any():
            raise SystemExit("the notebook way says other captions than greedy decoding does")

    def over(batches: list, call: Callable) -> Callable:
        return lambda: [call(batch) for batch in batches]

    def by_pillow_and_predict(batch: list[bytes]) -> np.ndarray:
        pixels = _read(batch, captioner.picture.size)
        return notebook.caption(captioner.encoder.predict(pixels, verbose=0))

    return {
        "encoder": over(pixels, functions["encoder"]),
        "greedy": over(rows, lambda batch: signatures["serving_default"](image_bytes=batch)),
        f"beam {BEAMS}": over(rows, lambda batch: signatures["beam"](image_bytes=batch)),
        "decode pictures": over(rows, functions["decode"]),
        "greedy from features": over(features, functions["greedy"]),
        f"beam {BEAMS} from features": over(features, functions["beam"]),
        "model.predict, features": over(features, lambda batch: notebook.caption(batch.numpy())),
        "model.predict, pictures": over(batches, by_pillow_and_predict),
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
    parser.add_argument(
        "--run",
        type=readable(lambda run: RunConfig.load(run / CONFIG)),
        required=True,
        metavar="RUN",
    )
    parser.add_argument("--images", type=readable(jpegs), required=True, metavar="DIR")
    add_arguments(parser, rounds=9)
    arguments = parser.parse_args()
    paths = jpegs(arguments.images)[:BATCH]
    captioner = load_captioner(arguments.run)
    encoded = [path.read_bytes() for path in paths]
    metrics = {}
    for batch_size, batches in ((1, [[row] for row in encoded[:SINGLES]]), (BATCH, [encoded])):
        calls = make_peers(captioner, batches)
        pictures = sum(map(len, batches))
        peers = {name: functools.partial(seconds_a_call, call) for name, call in calls.items()}
        seconds = alternate(peers, arguments.rounds, uncounted=1)
        what = f"batch {batch_size}"
        for name, values in seconds.items():
            metrics[f"{what}, {name}: ms a picture"] = [1000 * each / pictures for each in values]
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
