"""The training program, to be read in one sitting.

An epoch goes over the training split, then decodes the validation split greedily; the epoch with
the best CIDEr is kept. All that an interrupted run needs to go on stands in its directory: the same
command takes it up, and every number comes out as if nothing had happened.
"""

import contextlib
import dataclasses
import math
import shutil
import time
from pathlib import Path

import keras
import tensorflow as tf
from tqdm import tqdm

from records.errors import UserError
from records.manifest import Manifest
from records.reading import read_references
from records.vocabulary import Vocabulary
from tfcap import runs
from tfcap.captioner import build_captioner, check_alike, load_ensemble
from tfcap.config import RunConfig
from tfcap.data import Corrupt
from tfcap.data.service import check_service
from tfcap.encoders import save_weights
from tfcap.encoders.inference import inference_encoder
from tfcap.evaluation import SplitDecoder
from tfcap.features import FeatureCache, Placement
from tfcap.metrics import References
from tfcap.training import log
from tfcap.training.devices import Hosts, choose_strategy, lost_hosts_named, meet
from tfcap.training.objectives import CrossEntropy, Distillation, Objective, SelfCritical
from tfcap.training.reward import CiderReward, reference_ids
from tfcap.training.schedule import History, best_epoch, fine_tunes, is_over, learning_rates
from tfcap.training.source import Encode, Source, open_caches, place_encoder
from tfcap.training.state import Checkpoints, TrainingState
from tfcap.training.step import TrainStep
from tfcap.word_vectors import read_glove, set_vectors

TUNED = Placement("device", "the encoder is fine-tuned.")


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
    if Hosts.here().chief:  # others would find it half made
        runs.check(run, config)
    training = Training(config, manifest, run / runs.ENCODER)
    history = training.open(run)
    while not is_over(history, config.training):
        phase = training.phase(history)
        with phase.source.damage_named(), lost_hosts_named():
            training.train_epoch(phase, history)
            history = training.end_epoch(phase, history)
    return history


@dataclasses.dataclass(frozen=True)
class Phase:
    """What is the same in all epochs before fine-tuning, and in all epochs of it.

    Attributes:
        fine_tunes: which of the two.
        source: of the batches.
        step: that trains.
        decoder: of the validation split.
    """

    fine_tunes: bool
    source: Source
    step: TrainStep
    decoder: SplitDecoder


class Training:
    """A run under way: the captioner, and the state of its training."""

    def __init__(self, config: RunConfig, manifest: Manifest, encoder: Path):
        """Build everything, on the disk nothing.

        Args:
            config: what to train.
            manifest: of the dataset.
            encoder: weights that stand for those of the config, if the file exists.
        """
        self.config, self.manifest, self.spec = config, manifest, config.training
        self.hosts = Hosts.here()
        self.strategy = choose_strategy(config.execution.devices, self.hosts)
        if config.execution.data_service:
            check_service(config.execution.data_service)
        self.pictures = manifest.records("train")
        self.hosts.check_batches(self.pictures, self.spec.batch_size)
        if self.hosts.hosts > 1 and config.execution.skip_corrupt:
            # A host that loses all its records of a batch would be a step behind the others.
            raise UserError("--skip-corrupt is of one host: repair the records, or unset TF_CONFIG")
        self.steps = math.ceil(self.pictures / self.spec.batch_size)
        dataset, model = Path(config.dataset), config.model
        self.references = read_references(manifest.shard_paths(dataset, "val"))  # raw, by key
        self.scorer = References(self.references, config.caption)
        if encoder.exists():
            model = dataclasses.replace(model, encoder_weights=str(encoder))
        vocabulary = Vocabulary.read(dataset / runs.VOCABULARY)
        # Names anew from 1: TensorFlow adds some gradients up in the order of their names, so what
        # else the process had built would change last digits.
        keras.backend.clear_session()
        keras.utils.set_random_seed(self.spec.seed)
        with self.strategy.scope():
            self.captioner = build_captioner(model, config.picture, config.caption, vocabulary)
            self.vectors = None
            if model.word_vectors != "none":
                self.vectors = read_glove(Path(model.word_vectors), vocabulary)
                set_vectors(self.captioner.decoder, self.vectors)
            self.state = TrainingState(self.captioner, self.spec)
        self.encode = inference_encoder(self.captioner.encoder)
        gpus = len(tf.config.list_logical_devices("GPU"))
        self.placement = place_encoder(config, manifest, self.captioner, gpus)
        self._phase = self._samples = None

    def open(self, run: Path) -> list[dict]:
        """Claim the run directory, and take up its last state; returns the history to there."""
        self.run = run
        if self.hosts.chief:
            runs.claim(run, self.config)
            if not (run / runs.ENCODER).exists():
                dataset = Path(self.config.dataset)
                shutil.copyfile(dataset / runs.VOCABULARY, run / runs.VOCABULARY)
                save_weights(self.captioner.encoder, run / runs.ENCODER)
            self.curves = log.Curves(run / runs.LOGS)
        meet(self.strategy, self.hosts)
        self.checkpoints = Checkpoints(self.state, run, writes=self.hosts.chief)
        self.checkpoints.restore()
        return runs.read_history(run)[: int(self.state.epoch.numpy())]

    def phase(self, history: History) -> Phase:
        """Return the phase of the next epoch."""
        tunes = self.spec.fine_tune.epochs > 0 and fine_tunes(history, self.spec)
        if self._phase is None or self._phase.fine_tunes != tunes:
            self._phase = self.make_phase(tunes, TUNED if tunes else self.placement)
        return self._phase

    def make_phase(self, tunes: bool, placement: Placement) -> Phase:
        """Prepare a phase whose pictures are encoded in a given place."""
        config, captioner = self.config, self.captioner
        encode = self._live_encoder if tunes else self.encode
        caches = self._caches(encode) if placement.where == "cache" else {}
        corrupt = Corrupt() if config.execution.skip_corrupt else None
        parts = (config, self.manifest, captioner, placement, encode, caches)
        source = Source(*parts, corrupt, self.hosts)
        parts = (captioner, self.state, self.spec, self._objective(source), self.strategy)
        step = TrainStep(*parts, source.on_device, source.spec, tunes, self.hosts.hosts)
        return Phase(tunes, source, step, SplitDecoder(captioner, encode))

    def _objective(self, source: Source) -> Objective:
        spec, captioner = self.spec, self.captioner
        if spec.objective == "cross_entropy":
            return CrossEntropy(spec.label_smoothing)
        if spec.objective == "distillation":
            runs_of_teacher = [Path(run) for run in self.config.execution.teachers]
            teacher = load_ensemble(runs_of_teacher)
            check_alike(captioner, teacher, runs_of_teacher[0])
            return Distillation(teacher.decoder)
        shards = self.manifest.shard_paths(Path(self.config.dataset), "train")
        references = reference_ids(shards, captioner.vocabulary, captioner.max_words)
        return SelfCritical(captioner, source.on_device, spec, CiderReward.of(references))

    def _caches(self, encode: Encode) -> dict[str, FeatureCache]:
        """Return the stored features; of several hosts, one writes them while the others wait."""
        arguments = (self.config, self.manifest, self.captioner, encode)
        caches = open_caches(*arguments) if self.hosts.chief else {}
        meet(self.strategy, self.hosts)
        return caches or open_caches(*arguments)

    def train_epoch(self, phase: Phase, history: History) -> None:
        """Train on the rest of the epoch under way."""
        spec, epoch, done = self.spec, len(history), int(self.state.step.numpy())
        if done == self.steps:
            return  # killed in validation
        seen = min(done * spec.batch_size, self.pictures)
        began = time.perf_counter()
        try:
            with log.EpochBar(epoch, spec.epochs, self.pictures, seen) as bar:
                for batch in phase.source.train(epoch, done):
                    rates = learning_rates(spec, history, done, self.steps)
                    loss = phase.step(batch, epoch * self.steps + done, rates)
                    done += 1
                    bar.update(min(done * spec.batch_size, self.pictures))
                    if done % log.EVERY == 0:
                        bar.show_loss(self.state.mean_loss())
                        self._note(epoch * self.steps + done, loss, rates)
                    if done % self.config.execution.save_every == 0:
                        self.checkpoints.save()
        finally:
            # Ctrl-C and damage too: a step changes all of the state or nothing.
            self.checkpoints.save()
            if self.hosts.chief:
                runs.add_time(self.run, epoch, time.perf_counter() - began)
        if (corrupt := phase.source.corrupt) and corrupt.count:
            tqdm.write(f"{corrupt.count} damaged records left out, such as {corrupt.places[0]}")

    def end_epoch(self, phase: Phase, history: History) -> list[dict]:
        """End an epoch; returns the history, which all hosts have from the chief."""
        if self.hosts.chief:
            self._judge(phase, history)
        meet(self.strategy, self.hosts)
        # Last: a run that is killed before this takes the epoch up again.
        self.state.end_epoch()
        self.checkpoints.save()
        return runs.read_history(self.run)[: len(history) + 1]

    def _judge(self, phase: Phase, history: History) -> None:
        """Validate, and keep the weights if no epoch was better."""
        epoch, average = len(history), self.state.average
        with average.in_place() if average else contextlib.nullcontext():
            figures = {"epoch": epoch + 1, "loss": self.state.mean_loss()}
            if self.spec.objective != "self_critical":
                figures["accuracy"] = self.state.accuracy()
            history = [*history, {**figures, **self._validate(phase, epoch)}]
            if best_epoch(history) == epoch:
                self._save_weights(self.run, phase.fine_tunes)
            if self.config.execution.keep_epochs:
                directory = runs.epoch_directory(self.run, epoch)
                directory.mkdir(parents=True, exist_ok=True)
                self._save_weights(directory, self.spec.fine_tune.epochs > 0)
        runs.write_history(self.run, history, best_epoch(history))

    def _save_weights(self, directory: Path, encoder: bool) -> None:
        if encoder:
            save_weights(self.captioner.encoder, directory / runs.ENCODER)
        save_weights(self.captioner.decoder, directory / runs.DECODER)

    def _validate(self, phase: Phase, epoch: int) -> dict:
        decoded = phase.decoder.decode(phase.source.validation, len(self.references))
        scores = self.scorer.score(decoded.captions)
        runs.add_samples(self.run, epoch, self.references, decoded.captions)
        figures = {"val_loss": decoded.loss, "val_accuracy": decoded.accuracy}
        figures.update({f"val_{name}": value for name, value in scores.to_dict().items()})
        step = (epoch + 1) * self.steps
        self.curves.add(step, figures)
        if self._samples is None:
            self._samples = log.Samples.of(phase.source.pixels())
        self.curves.add_samples(step, self.captioner, self._samples, phase.source.encode)
        self.curves.flush()
        return figures

    def _note(self, step: int, loss: tf.Tensor, rates: tuple[float, float]) -> None:
        if not self.hosts.chief:
            return
        rate = self.curves.rate(log.EVERY * self.spec.batch_size)
        figures = {"loss": float(loss), "learning_rate": rates[0], "pictures_per_second": rate}
        self.curves.add(step, figures)

    def _live_encoder(self, pixels: tf.Tensor) -> tf.Tensor:
        return self.captioner.encoder(tf.cast(pixels, tf.float32), training=False)
