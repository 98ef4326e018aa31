"""What a training is made of that a checkpoint holds, and its way to disk and back."""

from pathlib import Path

import keras
import tensorflow as tf

from tfcap import runs
from tfcap.captioner import Captioner
from tfcap.config import TrainingSpec
from tfcap.encoders import tunable_weights
from tfcap.training.average import MovingAverage


class SummedAdamW(keras.optimizers.AdamW):
    """AdamW for gradients that are the same on all replicas, since they were summed before.

    Keras sums them itself, but after it has clipped each replica's. Its own step also takes a dozen
    operations, each of which goes through the memory of all weights; this one takes a single one.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars

    def _apply_weight_decay(self, variables):
        if self.weight_decay:  # Keras goes through all weights for 0 too
            super()._apply_weight_decay(variables)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        steps = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**steps,
            beta2_power=self.beta_2**steps,
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class TrainingState(tf.Module):
    """The weights in training, their optimizers, their average, and the position.

    Random numbers and learning rates are none of it: they are functions of seed, history and step.

    Attributes:
        decoder: of the captioner; so is `encoder`, None unless it is to be fine-tuned.
        encoder_weights: those of the encoder that are trained, by `FineTuneSpec.blocks`.
        optimizer: of the decoder; so is `encoder_optimizer`, None likewise.
        average: of all weights that are trained; None without one.
        epoch: epochs that have ended, int64.
        step: steps done in the epoch under way, int64.
        loss: sum over the epoch under way, float64; `count` of what it is a sum.
        right: words among them that were the likeliest, float64.
    """

    def __init__(self, captioner: Captioner, spec: TrainingSpec):
        super().__init__()
        tuned = spec.fine_tune.epochs > 0
        self.decoder = captioner.decoder
        self.encoder = captioner.encoder if tuned else None
        self.encoder_weights = (
            tunable_weights(captioner.encoder, spec.fine_tune.blocks) if tuned else []
        )
        self.optimizer = _optimizer(self.decoder_weights, spec)
        self.encoder_optimizer = _optimizer(self.encoder_weights, spec) if tuned else None
        weights = [*self.decoder_weights, *self.encoder_weights]
        self.average = MovingAverage(weights, spec.average) if spec.average else None
        with tf.device("CPU"):
            self.epoch, self.step = (tf.Variable(0, dtype=tf.int64) for _ in range(2))
            self.loss, self.right, self.count = (tf.Variable(0, dtype=tf.float64) for _ in range(3))

    @property
    def decoder_weights(self) -> list[keras.Variable]:
        """The decoder's weights that are trained."""
        return self.decoder.trainable_variables

    def mean_loss(self) -> float:
        """Return the loss of the epoch so far: nats per word, or the negative mean reward."""
        return float(self.loss / tf.maximum(self.count, 1))

    def accuracy(self) -> float:
        """Return the share of the epoch's words that were the likeliest."""
        return float(self.right / tf.maximum(self.count, 1))

    def end_epoch(self) -> None:
        """Move on to the next epoch."""
        self.epoch.assign_add(1)
        for variable in (self.step, self.loss, self.right, self.count):
            variable.assign(tf.zeros_like(variable))


class Checkpoints:
    """The checkpoints of a run: only the last is kept."""

    def __init__(self, state: TrainingState, run: Path, writes: bool = True):
        """Prepare.

        Args:
            state: what is to be saved.
            run: the run directory.
            writes: whether this host writes them; all that train together read them.
        """
        self._writes = writes
        self._directory = run / runs.CHECKPOINTS
        parts = {
            name: part
            for name in ("decoder", "encoder", "optimizer", "encoder_optimizer", "average")
            if (part := getattr(state, name)) is not None
        }
        position = {
            name: getattr(state, name) for name in ("epoch", "step", "loss", "right", "count")
        }
        checkpoint = tf.train.Checkpoint(**parts, **position)
        self._manager = tf.train.CheckpointManager(checkpoint, self._directory, max_to_keep=1)

    def restore(self) -> bool:
        """Restore the last state, if there is one; tells whether there was."""
        last = self._manager.latest_checkpoint
        if last:
            self._manager.checkpoint.restore(last).assert_consumed()
            if self._writes:
                self._sweep(Path(last).name)
        return bool(last)

    def save(self) -> None:
        """Save the state; a kill leaves this one or the one before."""
        if self._writes:
            self._manager.save()

    def _sweep(self, last: str) -> None:
        """Delete what a kill between two checkpoints has left of another."""
        for path in self._directory.glob("ckpt-*"):
            if path.is_file() and path.stem != last:
                path.unlink()


def _optimizer(weights: list[keras.Variable], spec: TrainingSpec) -> keras.optimizers.Optimizer:
    """Return AdamW; its rate is set before each step, and gradients come to it clipped."""
    optimizer = SummedAdamW(0.0, weight_decay=spec.optimizer.weight_decay)
    if spec.precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(weights)
    return optimizer
