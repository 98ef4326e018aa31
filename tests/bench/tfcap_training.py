"""Ours, for the training peers: the training step of `tfcap train --placement cache`.

Reads the feature cache in the order of an epoch, epoch after epoch, and makes real training steps:
forward and backward, label smoothing 0.1, gradient clipping, AdamW; the merge decoder by the recipe
of its preset, without smoothing and decay. Each batch of pictures brings all of its captions,
against one feature map a picture. Nothing of `tfcap train` is left out but
the progress bar, the log, checkpoints and validation.

Example:
  python tests/bench/tfcap_training.py --dataset records/flickr8k --cache CACHE --decoder lstm
"""

import argparse
import itertools
from pathlib import Path

from shared_captions import run_steps

from records.manifest import load_manifest
from tfcap.bench.program import Program
from tfcap.config import ModelSpec
from tfcap.decoders import decoder_spec_from_dict
from tfcap.presets import DEFAULT, PRESETS

# The default decoder, the notebook's, the tutorial's; whether it gets pooled features, and the
# preset whose recipe it is trained by: the notebook's knows no label smoothing and no weight decay.
DECODERS = {
    "lstm": ({"kind": "lstm_attention"}, False, DEFAULT),
    "merge": ({"kind": "merge"}, True, PRESETS["resnet-lstm-similarity"]),
    "transformer": (
        {"kind": "transformer", "layers": 2, "units": 256, "heads": 2, "dropout": 0.5},
        False,
        DEFAULT,
    ),
}


def add_program_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which program is to be built."""
    add = parser.add_argument
    add("--dataset", type=Path, required=True, metavar="DIR", help="records of build_records")
    add("--encoder", default="mobilenet_v3_large_minimalistic", metavar="NAME")
    add("--encoder-weights", default="none", metavar="WHICH")
    add("--pictures", type=int, default=900, metavar="N", help="whole shards that hold so many")
    add("--batch-size", type=int, default=32, metavar="N", help="pictures a step")


def build_program(arguments: argparse.Namespace, decoder: str, cache: Path) -> Program:
    """Return the program with a decoder of `DECODERS`, and a directory for its features."""
    manifest = load_manifest(arguments.dataset)
    fields, pooled, preset = DECODERS[decoder]
    model = ModelSpec(
        arguments.encoder,
        arguments.encoder_weights,
        decoder_spec_from_dict(fields),
        max_words=manifest.statistics.caption_words_max,  # none of the peers cuts captions
        pooled=pooled,
    )
    return Program(
        arguments.dataset,
        manifest,
        model,
        arguments.batch_size,
        arguments.pictures,
        cache,
        preset.training,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_program_arguments(parser)
    parser.add_argument("--decoder", choices=DECODERS, required=True)
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seconds", type=float, default=10.0, help="of counted training")
    arguments = parser.parse_args()
    program = build_program(arguments, arguments.decoder, arguments.cache)
    placed = program.placed("cache")

    def steps():
        for epoch in itertools.count():
            for batch in placed.batches(epoch):
                placed.step(batch)
                yield batch["inputs"].shape[0] * batch["inputs"].shape[1]

    watch = run_steps(steps().__next__, arguments.seconds)
    watch.report(parameters=program.captioner.decoder.count_params())


if __name__ == "__main__":
    main()
