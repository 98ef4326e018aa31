"""Peer: the notebook way of training a captioner, as found in many public notebooks.

A Python generator yields, for 32 pictures at a time, one sample for every prefix of every caption:
the picture's pooled features, the prefix padded in front to the dataset's longest caption, and the
next word as a one-hot vector. A merge model (dropped-out features -> Dense 256; Embedding 256 with
its mask, dropout, LSTM 256; added; Dense 256; softmax over the vocabulary) is trained by
`model.fit` with Adam and categorical cross-entropy. Features are computed before and lie in memory.

Captions a second: captions whose every prefix was trained on. The same pictures, captions and
vocabulary as ours, 32 pictures with all of their captions a step as ours, the same merge model
(`--decoder merge`; tests/tfcap/test_decoders.py has the same loss of both); ours is measured with
its default decoder too, on the whole map. What ours does besides: it clips the gradient.

Example:
  python tests/bench/notebook_training.py --features features.npy --captions captions.json
"""

from collections.abc import Iterator

import keras
import numpy as np
from keras_timing import Timing
from shared_captions import Captioned, Stopwatch, load, parse_arguments

UNITS, DROPOUT = 256, 0.3


def prefixes(shared: Captioned, pooled: np.ndarray, batch_size: int) -> Iterator[tuple]:
    """Yield ((features [M, C], prefixes [M, L]), one-hot next words [M, V]) for ever.

    M is the number of all prefixes of the captions of `batch_size` pictures.
    """
    # The last word of a caption is never read, only predicted.
    length = shared.longest - 1
    while True:
        for first in range(0, len(pooled) - batch_size + 1, batch_size):
            pictures, texts, words = [], [], []
            for picture in range(first, first + batch_size):
                for caption in shared.captions[picture]:
                    for end in range(1, len(caption)):
                        pictures.append(pooled[picture])
                        texts.append(caption[:end])
                        words.append(caption[end])
            texts = keras.utils.pad_sequences(texts, maxlen=length)
            words = keras.utils.to_categorical(words, num_classes=shared.words)
            yield (np.array(pictures), texts), words


def build_model(channels: int, length: int, words: int) -> keras.Model:
    """Return the merge model, compiled."""
    layers = keras.layers
    picture, text = keras.Input([channels]), keras.Input([length])
    seen = layers.Dense(UNITS, activation="relu")(layers.Dropout(DROPOUT)(picture))
    vectors = layers.Embedding(words, UNITS, mask_zero=True)(text)
    said = layers.LSTM(UNITS)(layers.Dropout(DROPOUT)(vectors))
    merged = layers.Dense(UNITS, activation="relu")(layers.add([seen, said]))
    model = keras.Model([picture, text], layers.Dense(words, activation="softmax")(merged))
    model.compile(optimizer="adam", loss="categorical_crossentropy")
    return model


def main() -> None:
    arguments = parse_arguments(__doc__).parse_args()
    shared = load(arguments)
    pooled = shared.features.mean(axis=(1, 2))
    model = build_model(pooled.shape[-1], shared.longest - 1, shared.words)
    captions = arguments.batch_size * np.mean([len(each) for each in shared.captions])
    watch = Stopwatch(arguments.seconds)
    model.fit(
        prefixes(shared, pooled, arguments.batch_size),
        steps_per_epoch=10**9,
        callbacks=[Timing(watch, captions)],
        verbose=0,
    )
    watch.report(parameters=model.count_params())


if __name__ == "__main__":
    main()
