"""Training: a program to be read in one sitting.

An epoch goes over the training split, then decodes the validation split greedily; the epoch with
the best CIDEr is kept. All that an interrupted run needs to go on stands in its directory.
"""

import math
import shutil
from pathlib import Path

import keras
import tensorflow as tf
from tqdm import tqdm

from records.manifest import Manifest
from records.vocabulary import Vocabulary
from tfcap import runs
from tfcap.captioner import build_captioner, caption_loss
from tfcap.config import RunConfig, TrainingSpec
from tfcap.data import Order, caption_batches, damage_named, encoded
from tfcap.encoders import save_weights
from tfcap.evaluation import decode_batches, read_references
from tfcap.metrics import References

LOG_EVERY = 20  # steps between two points of the training curves


def learning_rate_schedule(spec: TrainingSpec, steps_per_epoch: int):
    """Return the linear rise and cosine fall that `TrainingSpec.learning_rate` describes."""
    warmup = max(1, round(spec.warmup_epochs * steps_per_epoch))
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=spec.learning_rate,
        warmup_steps=warmup,
        decay_steps=max(1, spec.epochs * steps_per_epoch - warmup),
    )


def best_epoch(history: list[dict]) -> int:
    """Return the index of the first epoch with the highest validation CIDEr."""
    return max(range(len(history)), key=lambda epoch: history[epoch]["val_CIDEr"])


def is_settled(history: list[dict], spec: TrainingSpec) -> bool:
    """Tell whether all epochs are done, or the last `patience` of them brought nothing better."""
    if len(history) >= spec.epochs:
        return True
    return bool(history) and len(history) - 1 - best_epoch(history) >= spec.patience


def train(config: RunConfig, manifest: Manifest, run: Path) -> list[dict]:
    """Train a run to its end, from wherever it stands.

    Args:
        config: what to train; `config.json` of the directory must not say otherwise.
        manifest: of the dataset.
        run: the run directory, made if needed.

    Returns:
        The history: a dict of figures for each epoch.

    Raises:
        UserError: the directory belongs to another run; weights, dataset or splits are missing;
            a record is damaged.
        KeyboardInterrupt: after the state was saved.
    """
    training = Training(config, manifest, run)
    history = runs.read_history(run)[: int(training.epoch)]
    while not is_settled(history, config.training):
        epoch = len(history)
        with damage_named(config.dataset):
            loss = training.train_epoch(epoch)
            history.append({"epoch": epoch + 1, "loss": loss, **training.validate(epoch)})
        training.keep(history)
    return history


class Training:
    """A run under way: the model, its optimizer, and the position in the data."""

    def __init__(self, config: RunConfig, manifest: Manifest, run: Path):
        self.run, self.spec = run, config.training
        dataset = Path(config.dataset)
        self.shards = {split: manifest.shard_paths(dataset, split) for split in ("train", "val")}
        self.records = manifest.records("train")
        self.references = read_references(self.shards["val"])  # raw captions by key
        self.scorer = References(self.references, config.caption)
        keras.utils.set_random_seed(self.spec.seed)
        self.captioner = build_captioner(
            config.model,
            config.picture,
            config.caption,
            Vocabulary.read(dataset / runs.VOCABULARY),
        )
        self.decoder = self.captioner.decoder
        self.steps = math.ceil(self.records / self.spec.batch_size)
        self.optimizer = keras.optimizers.AdamW(
            learning_rate_schedule(self.spec, self.steps),
            weight_decay=self.spec.weight_decay,
            global_clipnorm=self.spec.clip_norm,
        )
        self.optimizer.build(self.decoder.trainable_variables)
        self.epoch = tf.Variable(0, dtype=tf.int64)  # epochs that have ended
        self.step = tf.Variable(0, dtype=tf.int64)  # steps done in the epoch under way
        state = tf.train.Checkpoint(
            decoder=self.decoder, optimizer=self.optimizer, epoch=self.epoch, step=self.step
        )
        self.checkpoints = tf.train.CheckpointManager(state, run / runs.CHECKPOINTS, max_to_keep=1)
        self._take_up(config, dataset)
        self.log = tf.summary.create_file_writer(str(run / runs.LOGS))

    def _take_up(self, config: RunConfig, dataset: Path) -> None:
        """Claim the run directory; go on from its latest checkpoint if it has one."""
        runs.claim(self.run, config)
        if not (self.run / runs.ENCODER).exists():
            shutil.copyfile(dataset / runs.VOCABULARY, self.run / runs.VOCABULARY)
            save_weights(self.captioner.encoder, self.run / runs.ENCODER)
        if self.checkpoints.latest_checkpoint:
            state = self.checkpoints.checkpoint
            state.restore(self.checkpoints.latest_checkpoint).assert_consumed()

    def train_epoch(self, epoch: int) -> float:
        """Train on the rest of an epoch; returns the mean loss in nats per word."""
        spec, skip = self.spec, int(self.step)
        order = Order(spec.seed, epoch, skip=skip * spec.batch_size, flip=spec.flip)
        losses = keras.metrics.Mean()
        bar = tqdm(
            desc=f"epoch {epoch + 1}/{spec.epochs}",
            total=self.records,
            initial=order.skip,
            unit=" pictures",
        )
        try:
            with bar, self.log.as_default():
                for batch in self._batches("train", order):
                    loss, words = self._train_step(
                        batch["features"], batch["inputs"], batch["targets"]
                    )
                    losses.update_state(loss, words)
                    self.step.assign_add(1)
                    bar.update(len(batch["key"]))
                    if int(self.step) % LOG_EVERY == 0:
                        bar.set_postfix(loss=f"{float(losses.result()):.3f}")
                        iterations = int(self.optimizer.iterations)
                        tf.summary.scalar("loss", loss, iterations)
                        rate = self.optimizer.learning_rate
                        tf.summary.scalar("learning_rate", rate, iterations)
        except KeyboardInterrupt:
            self.checkpoints.save()
            raise
        return float(losses.result())

    @tf.function(reduce_retracing=True)
    def _train_step(self, features, inputs, targets):
        variables = self.decoder.trainable_variables
        with tf.GradientTape() as tape:
            total, words = caption_loss(
                self.decoder, features, inputs, targets, self.spec.label_smoothing, training=True
            )
            loss = total / words
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss, words

    def _batches(self, split: str, order: Order | None = None) -> tf.data.Dataset:
        captioner = self.captioner
        batches = caption_batches(
            self.shards[split],
            captioner.picture,
            captioner.ids,
            captioner.max_words,
            self.spec.batch_size,
            order,
        )
        return encoded(batches, captioner.encoder)

    def validate(self, epoch: int) -> dict:
        """Decode the validation split greedily; returns its figures and notes some captions."""
        decoded = decode_batches(self.captioner, self._batches("val"), len(self.references))
        scores = self.scorer.score(decoded.captions)
        runs.add_samples(self.run, epoch, self.references, decoded.captions)
        figures = {"val_loss": decoded.loss}
        figures.update({f"val_{name}": value for name, value in scores.to_dict().items()})
        with self.log.as_default():
            for name, value in figures.items():
                tf.summary.scalar(name, value, int(self.optimizer.iterations))
        return figures

    def keep(self, history: list[dict]) -> None:
        """Save the state after an epoch, and the decoder if no epoch was better."""
        best = best_epoch(history)
        if best == len(history) - 1:
            save_weights(self.decoder, self.run / runs.DECODER)
        runs.write_history(self.run, history, best)
        # Last: a run that is killed before this takes the epoch up again.
        self.epoch.assign(len(history))
        self.step.assign(0)
        self.checkpoints.save()
