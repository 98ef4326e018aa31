"""How the peers that train by `model.fit` are measured."""

import keras
from shared_captions import Stopwatch


class Timing(keras.callbacks.Callback):
    """Counts the steps of a `fit`, and stops it when it has been measured for long enough."""

    def __init__(self, watch: Stopwatch, captions: float):
        super().__init__()
        self.watch, self.captions = watch, captions

    def on_train_batch_end(self, batch, logs=None):
        if not self.watch.step(self.captions):
            self.model.stop_training = True
