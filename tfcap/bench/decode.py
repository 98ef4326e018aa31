"""`tfcap bench decode`: greedy captions a second from features, beside the encoder's rate."""

import os

import tensorflow as tf

from tfcap.bench.data import Encode, run_all, whole_batches
from tfcap.bench.measure import Figures, alternate, paced, ratios
from tfcap.bench.stages import limiting
from tfcap.captioner import Captioner

BATCH_SIZES = (1, 8, 32)


def bench_decode(captioner: Captioner, encode: Encode, pixels: tf.Tensor, rounds: int) -> Figures:
    """Measure greedy decoding, from features in memory to strings.

    With weights drawn at random few captions end before `max_words`: the rates are those of the
    longest captions.

    Args:
        captioner: whose decoder is measured.
        encode: pixels uint8 [B, S, S, 3] to features [B, h, w, C].
        pixels: uint8 [n, S, S, 3].
        rounds: measurements of each.
    """
    greedy = tf.function(captioner.greedy, reduce_retracing=True)
    metrics, setting = {}, {"cores": os.cpu_count(), "pictures": len(pixels)}
    for batch_size in BATCH_SIZES:
        batches = whole_batches(pixels, batch_size)
        count = len(batches) * batch_size
        features = [encode(batch) for batch in batches]
        peers = {
            "encode": paced(count, lambda batches=batches: run_all(encode, batches)),
            "greedy": paced(count, lambda features=features: _caption(greedy, features)),
        }
        rates = alternate(peers, rounds, uncounted=1)
        what = f"batch {batch_size}"
        metrics[f"{what}, encode: pictures/s"] = rates["encode"]
        metrics[f"{what}, greedy: captions/s"] = rates["greedy"]
        metrics[f"{what}, greedy over encode"] = ratios(rates["greedy"], rates["encode"])
    captions = [caption for batch in features for caption in greedy(batch).numpy()]
    setting["words a caption"] = sum(len(caption.split()) for caption in captions) / count
    return Figures(metrics, setting, limiting(rates))


def _caption(greedy, batches: list[tf.Tensor]) -> None:
    for batch in batches:
        greedy(batch).numpy()
