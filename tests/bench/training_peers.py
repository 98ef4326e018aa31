"""Captions a second of training: ours against a notebook's way, TensorFlow's tutorial and PyTorch.

All train on the features of the same pictures, which the same encoder computed before, with the
same captions, none cut, and the same vocabulary; each is a process of its own, whose
start-up and first steps do not count, on all cores. What each of them does, and what it does
otherwise than ours, stands in its script:

    tfcap_training.py      ours from its feature cache: the default LSTM decoder, the notebook's
                           merge model, the tutorial's Transformer
    notebook_training.py   the merge model on a sample for each prefix of each caption
    tutorial_training.py   shards of `Dataset.save`, one caption a sample, a Transformer, `fit`
    torch_training.py      our LSTM decoder in PyTorch, DataLoader; the fastest of its settings

A step of ours, the notebook's and PyTorch's takes 32 pictures with all of their captions. The
tutorial takes 32 captions a step; it is measured with the captions of 32 pictures as well, and ours
with as many pictures as make up 32 captions.

PyTorch is not among tfcap's dependencies: --torch-python names an interpreter that has it.

Example:
  python tests/bench/training_peers.py --dataset records/flickr8k --torch-python torch/bin/python
"""

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tfcap_training import add_program_arguments, build_program

from records.vocabulary import PAD_ID
from tfcap.bench.measure import add_arguments, alternate, ratios, report

HERE = Path(__file__).parent
TUTORIAL_CAPTIONS = 32  # a step
# Settings of the PyTorch peer, of which the fastest is taken.
TORCH_SETTINGS = (
    ("--workers", "0"),
    ("--workers", "2"),
    ("--workers", "0", "--packed"),
    ("--workers", "2", "--packed"),
)
RATE = "captions_per_second"


def run_peer(python: str | Path, script: str, *flags: object) -> dict:
    """Run a peer; returns the figures that its last line holds."""
    command = [str(python), str(HERE / script), *map(str, flags)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, text=True, capture_output=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def share_inputs(arguments: argparse.Namespace, scratch: Path) -> int:
    """Write the feature cache of ours, and what the peers read of it; returns captions a picture.

    The pictures of the peers are those that fill whole batches; a picture with fewer captions than
    others would leave holes in the batches of some peers, so that there must be none.
    """
    program = build_program(arguments, "lstm", scratch / "cache")
    stored = program.placed("cache").batches(0)
    features, captions = [], []
    for batch in stored.take(program.records // arguments.batch_size):
        features.append(batch["features"].numpy())
        for inputs, targets in zip(batch["inputs"].numpy(), batch["targets"].numpy(), strict=True):
            rows = zip(inputs, targets, (targets != PAD_ID).sum(axis=1), strict=True)
            captions.append([[*map(int, row[:n]), int(end[n - 1])] for row, end, n in rows])
    if min(len(caption) for texts in captions for caption in texts) < 2:
        sys.exit(f"{arguments.dataset} has pictures with fewer captions than others")
    np.save(scratch / "features.npy", np.concatenate(features))
    content = {
        "words": len(program.captioner.vocabulary),
        "captions": captions,
        "longest": program.captioner.max_words + 2,
    }
    (scratch / "captions.json").write_text(json.dumps(content))
    return len(captions[0])


def make_peers(
    arguments: argparse.Namespace, scratch: Path, captions: int
) -> dict[str, Callable[[], dict]]:
    """Return what runs each peer and returns its figures; `captions` is of a picture."""
    shared = ("--features", scratch / "features.npy", "--captions", scratch / "captions.json")
    shared += ("--seconds", arguments.seconds)
    pictures = arguments.batch_size
    few = max(1, round(TUTORIAL_CAPTIONS / captions))

    def ours(decoder, batch_size):
        flags = ("--dataset", arguments.dataset, "--pictures", arguments.pictures)
        flags += ("--encoder", arguments.encoder, "--encoder-weights", arguments.encoder_weights)
        flags += ("--cache", scratch / "cache", "--seconds", arguments.seconds)
        flags += ("--decoder", decoder, "--batch-size", batch_size)
        return functools.partial(run_peer, sys.executable, "tfcap_training.py", *flags)

    def peer(python, script, *flags):
        return functools.partial(run_peer, python, script, *shared, *flags)

    tutorial = functools.partial(peer, sys.executable, "tutorial_training.py", "--batch-size")
    peers = {
        "ours, LSTM": ours("lstm", pictures),
        "ours, merge": ours("merge", pictures),
        "ours, Transformer": ours("transformer", pictures),
        f"ours, Transformer, {few} pictures a step": ours("transformer", few),
        "notebook": peer(sys.executable, "notebook_training.py", "--batch-size", pictures),
        "tutorial": tutorial(TUTORIAL_CAPTIONS),
        f"tutorial, {captions * pictures} captions a step": tutorial(captions * pictures),
    }
    if arguments.torch_python:
        torch = functools.partial(peer, arguments.torch_python, "torch_training.py")
        torch = functools.partial(torch, "--batch-size", pictures)
        best = max(TORCH_SETTINGS, key=lambda setting: torch(*setting)()[RATE])
        print(f"PyTorch is fastest with {' '.join(best)}")
        peers["PyTorch"] = torch(*best)
    return peers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_program_arguments(parser)
    add = parser.add_argument
    add("--seconds", type=float, default=10.0, help="of counted training in each measurement")
    add("--torch-python", type=Path, metavar="PATH", help="an interpreter with PyTorch and NumPy")
    add_arguments(parser, rounds=5)
    arguments = parser.parse_args()
    if not arguments.torch_python:
        print("PyTorch is left out: no --torch-python was given")
    with tempfile.TemporaryDirectory(prefix="training-peers-") as name:
        captions = share_inputs(arguments, Path(name))
        peers = make_peers(arguments, Path(name), captions)
        figures = alternate(peers, arguments.rounds)
    rates = {peer: [run[RATE] for run in runs] for peer, runs in figures.items()}
    metrics = {f"{peer}: captions/s": values for peer, values in rates.items()}
    small = next(peer for peer in rates if peer.endswith("pictures a step"))
    large = next(peer for peer in rates if peer.endswith("captions a step"))
    pairs = [
        ("ours, merge", "notebook"),
        ("ours, LSTM", "notebook"),
        ("ours, Transformer", "tutorial"),
        (small, "tutorial"),
        ("ours, Transformer", large),
        ("ours, LSTM", "PyTorch"),
    ]
    for over, under in pairs:
        if under in rates:
            metrics[f"{over} over {under}"] = ratios(rates[over], rates[under])
    setting = {
        "encoder": arguments.encoder,
        "pictures a step": arguments.batch_size,
        "captions a picture": captions,
        "cores": os.cpu_count(),
        "parameters": {peer: runs[0]["parameters"] for peer, runs in figures.items()},
    }
    report(metrics, setting, arguments.json)


if __name__ == "__main__":
    main()
