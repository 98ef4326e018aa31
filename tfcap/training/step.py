"""One step of training, on one device or on several at once."""

import tensorflow as tf

from records.vocabulary import PAD_ID
from tfcap.captioner import Captioner
from tfcap.config import TrainingSpec
from tfcap.training.devices import share_of
from tfcap.training.numerics import computing_in, drawing_from
from tfcap.training.objectives import Objective
from tfcap.training.source import Encode
from tfcap.training.state import TrainingState


class TrainStep:
    """Makes steps: changes the whole of a `TrainingState` in one call of TensorFlow.

    So nothing can come between: an interrupt finds the state before a step or after it.
    """

    def __init__(
        self,
        captioner: Captioner,
        state: TrainingState,
        spec: TrainingSpec,
        objective: Objective,
        strategy: tf.distribute.Strategy,
        encode: Encode,
        pictures: tf.TensorSpec,
        fine_tunes: bool = False,
        hosts: int = 1,
    ):
        """Prepare.

        Args:
            captioner: in training.
            state: of the training.
            spec: the recipe.
            objective: what is made small.
            strategy: what the captioner's weights were made under.
            encode: a batch's `image` or `features` to float32 [B, h, w, C].
            pictures: shape and type of a batch's `image` or `features`.
            fine_tunes: whether the encoder is trained too; batches must hold pixels then.
            hosts: that share the strategy's devices equally.
        """
        self._captioner, self._state, self._spec = captioner, state, spec
        self._objective = objective
        self._strategy, self._hosts = strategy, hosts
        self._encode = encode
        self._parts = [(state.optimizer, state.decoder_weights)]
        if fine_tunes:
            self._parts.append((state.encoder_optimizer, state.encoder_weights))
        # One trace for all shapes: another one might round differently, and a resumed run must not.
        position = tf.TensorSpec([], tf.int64)
        captions = tf.TensorSpec([None, None, None], tf.int32)
        signature = [position, pictures, captions, captions, *objective.extra.values()]
        self._run = tf.function(self._step, signature, autograph=False)

    def __call__(self, batch: dict, number: int, rates: tuple[float, float]) -> tf.Tensor:
        """Make a step.

        Args:
            batch: of `tfcap.data`, of all devices of this host together.
            number: of the step in the whole training, counted from 0.
            rates: learning rates of decoder and encoder.

        Returns:
            The loss before the step, as people know it, float [].
        """
        for (optimizer, _), rate in zip(self._parts, rates, strict=False):
            optimizer.learning_rate.assign(rate)
        batch = self._objective.prepare(batch, number)
        pictures = batch["image"] if "image" in batch else batch["features"]
        parts = (batch[name] for name in ("inputs", "targets", *self._objective.extra))
        return self._run(tf.constant(number, tf.int64), pictures, *parts)

    def _step(self, number, *batch):
        results = self._strategy.run(self._replica_step, args=(number, *batch))
        # Already summed: each replica has the same.
        loss, right, count = (
            self._strategy.experimental_local_results(result)[0] for result in results
        )
        state = self._state
        if state.average is not None:
            state.average.update(number)
        state.loss.assign_add(tf.cast(loss, tf.float64))
        state.right.assign_add(tf.cast(right, tf.float64))
        state.count.assign_add(tf.cast(count, tf.float64))
        state.step.assign_add(1)
        return loss / count

    def _replica_step(self, number, *batch):
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group
        # Replicas are numbered host by host, and a host's batch is for its own alone.
        replicas = self._strategy.num_replicas_in_sync // self._hosts
        pictures, inputs, targets, *extra = share_of(batch, replica % replicas, replicas)
        mine = tf.cast(tf.math.count_nonzero(targets != PAD_ID), tf.float32)
        words = context.all_reduce(tf.distribute.ReduceOp.SUM, mine)
        weights = [weight.value for _, part in self._parts for weight in part]
        with tf.GradientTape() as tape:
            loss = self._loss(pictures, (inputs, targets, *extra), self._seed(number, replica))
            objective = self._scale(loss.value / words)
        gradients = [
            tf.convert_to_tensor(gradient)
            for gradient in tape.gradient(objective, weights, unconnected_gradients="zero")
        ]
        shown = (loss.shown, loss.right, loss.shown_count)
        shown, gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, (shown, gradients))
        # After the sum: the norm is the whole gradient's.
        longest = self._scale(tf.constant(self._spec.optimizer.clip_norm))
        gradients, _ = tf.clip_by_global_norm(gradients, longest)
        for optimizer, part in self._parts:
            optimizer.apply(gradients[: len(part)], part)
            gradients = gradients[len(part) :]
        return shown

    def _loss(self, pictures, parts, seed):
        captioner, precision = self._captioner, self._spec.precision
        with (
            computing_in(precision, captioner.decoder, captioner.encoder),
            drawing_from(captioner.decoder, seed),
        ):
            return self._objective.loss(captioner, self._encode(pictures), *parts)

    def _seed(self, number, replica):
        """Return the seed of what a replica draws in a step: a function of seed and position."""
        seed = tf.constant([self._spec.seed, 1], tf.int64)  # [seed, 0] is the order's
        fold = tf.random.experimental.stateless_fold_in
        return fold(fold(seed, number), tf.cast(replica, tf.int64))

    def _scale(self, value):
        """Scale up what would vanish in float16; the optimizer scales it down again."""
        return self._state.optimizer.scale_loss(value)
