"""The mean of runs: one captioner of the same size, from the weights of several.

Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves
accuracy without increasing inference time". It makes sense of runs that went on from the same
weights (`--from`), each in its own way; the mean of runs that began at random says nothing.
"""

import dataclasses
import json
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from records.errors import UserError
from tfcap import runs
from tfcap.captioner import Captioner, load_captioner, require_same
from tfcap.config import RunConfig
from tfcap.encoders import save_weights


def average_runs(members: Sequence[Path], run: Path) -> None:
    """Write a run that has the mean weights of others: it evaluates and exports as they do.

    It has the settings of the first, no history and no checkpoint: training goes on from it in
    another run.

    Args:
        members: run directories, at least two, of one architecture, vocabulary and preprocessing.
        run: the new directory; it appears whole.

    Raises:
        UserError: the runs do not go together, one has no trained epoch, or `run` exists.
    """
    if len(members) < 2:
        raise UserError(f"one run, {members[0]}, is its own mean: give two or more")
    if run.exists():
        raise UserError(f"{run} exists: give --run a new directory")
    configs = [RunConfig.load(member / runs.CONFIG) for member in members]
    first, *others = captioners = [load_captioner(member) for member in members]
    for member, captioner, config in zip(members[1:], others, configs[1:], strict=True):
        ours, theirs = _nature(configs[0], first), _nature(config, captioner)
        same = {name: ours[name] == theirs[name] for name in ours}
        require_same(same, member, "give runs that went on from one")
    _take_mean([captioner.encoder for captioner in captioners])
    _take_mean([captioner.decoder for captioner in captioners])
    partial = run.with_name(f"partial-{secrets.token_hex(4)}")
    try:
        partial.mkdir(parents=True)
        configs[0].save(partial / runs.CONFIG)
        shutil.copyfile(members[0] / runs.VOCABULARY, partial / runs.VOCABULARY)
        save_weights(first.encoder, partial / runs.ENCODER)
        save_weights(first.decoder, partial / runs.DECODER)
        origin = {"runs": [_identify(member) for member in members]}
        (partial / runs.AVERAGE).write_text(json.dumps(origin, indent=1) + "\n", "utf-8")
        partial.rename(run)
    except OSError as error:
        raise UserError(
            f"cannot write {run} ({error.strerror}): give --run another place"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _nature(config: RunConfig, captioner: Captioner) -> dict:
    """Return what runs must have in common."""
    weights = {"encoder_weights": "", "decoder_weights": "", "word_vectors": ""}
    return {
        "model": dataclasses.replace(config.model, **weights),
        "vocabulary": captioner.vocabulary,
        "picture": config.picture,
        "caption": config.caption,
    }


def _take_mean(models: Sequence[keras.Model]) -> None:
    """Give the first model the mean of all models' weights."""
    for variables in zip(*(model.variables for model in models), strict=True):
        if np.issubdtype(variables[0].dtype, np.floating):  # the states of generators are none
            variables[0].assign(sum(variable.numpy() for variable in variables) / len(variables))


def _identify(run: Path) -> dict:
    weights = {"encoder_sha256": run / runs.ENCODER, "decoder_sha256": run / runs.DECODER}
    return {
        "run": str(run),
        **{name: runs.weights_fingerprint(str(path)) for name, path in weights.items()},
    }
