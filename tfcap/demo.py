"""The whole chain in one command: from pictures to captions out of an exported model.

    python -m tfcap.demo --output demo                           drawn scenes, nothing to download
    python -m tfcap.demo --output demo --data path/to/flickr8k   real photographs

Every step is a command that a user could type, and is shown as such before it runs.
"""

import argparse
import dataclasses
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from records.errors import UserError
from records.splits import SPLIT_FILES, parse_keys

MARKER = ".made-by-tfcap-demo"  # a directory that holds it may be replaced
CAPTION_FILES = ("captions.txt", "Flickr8k.token.txt")
SAMPLES = 4  # held-out pictures whose captions are shown
LEAST_EXACT = 80.0  # percent of the held-out scenes

DRAW = ("--pictures", "2000")
# Small pictures make quick epochs; a map of 8x8 cells still tells the two things apart.
BUILD_SCENES = ("--name", "scenes", "--image-size", "128")
SCENE_ENCODER = ("--encoder", "mobilenet_v3_small_stride16")
PRETRAIN = ("--epochs", "13")
# Scenes have few words and right answers: a small decoder, hardly regularised, learns them quickly.
TRAIN_SCENES = (
    *("--epochs", "9", "--learning-rate", "0.002", "--label-smoothing", "0"),
    *("--units", "256", "--embedding", "128", "--dropout", "0.1", "--embedding-dropout", "0.1"),
)


@dataclasses.dataclass(frozen=True)
class Step:
    """A command of the demo: what it is for, and its words as a user would type them."""

    title: str
    command: tuple[str, ...]

    def argv(self) -> list[str]:
        """Return the command for this very Python: both scripts and PATH may be elsewhere."""
        program, *rest = self.command
        if program == "tfcap":
            rest = ["-m", "tfcap.cli.main", *rest]
        return [sys.executable, *rest]


@dataclasses.dataclass(frozen=True)
class Source:
    """A directory of captioned pictures in the layout of Flickr8k.

    Attributes:
        directory: holds `Images/` and the split files.
        captions: the caption file.
        held_out: the split that the captioner is evaluated on.
    """

    directory: Path
    captions: Path
    held_out: str

    def samples(self) -> list[Path]:
        """Return a few held-out pictures.

        Raises:
            UserError: the split file cannot be read, or names no picture.
        """
        path = self.directory / SPLIT_FILES[self.held_out]
        try:
            with path.open("rb") as file:
                keys = list(parse_keys(file, str(path)))
        except OSError as error:
            raise UserError(f"cannot read {path} ({error.strerror}): check --data") from None
        if not keys:
            raise UserError(f"{path} names no picture: list the held-out ones there, one a line")
        return [self.directory / "Images" / key for key in keys[:SAMPLES]]


@dataclasses.dataclass(frozen=True)
class Demo:
    """What the demo leaves, all of it below one directory."""

    output: Path

    @property
    def scenes(self) -> Path:
        """Directory of the drawn pictures and their captions."""
        return self.output / "scenes"

    @property
    def dataset(self) -> Path:
        """Directory of the records."""
        return self.output / "dataset"

    @property
    def encoder(self) -> Path:
        """Weights of the pretrained encoder."""
        return self.output / "encoder.weights.h5"

    @property
    def run(self) -> Path:
        """Run directory."""
        return self.output / "run"

    @property
    def predictions(self) -> Path:
        """Captions of the held-out pictures, in COCO's format."""
        return self.output / "predictions.json"

    @property
    def standard(self) -> Path:
        """Base directory of the standard export."""
        return self.output / "exports" / "standard"

    @property
    def portable(self) -> Path:
        """Base directory of the export with core ops only."""
        return self.output / "exports" / "portable"


def flickr_source(directory: Path) -> Source:
    """Return a directory of real photographs as a source.

    Raises:
        UserError: it holds no pictures or no captions.
    """
    if not (directory / "Images").is_dir():
        raise UserError(f"no directory {directory / 'Images'}: give --data Flickr8k's directory")
    for name in CAPTION_FILES:
        if (directory / name).is_file():
            return Source(directory, directory / name, "val")
    raise UserError(f"neither {' nor '.join(CAPTION_FILES)} in {directory}: check --data")


def draw_step(demo: Demo) -> Step:
    """Return the step that draws the scenes."""
    return Step("Draw scenes", _words("python -m tfcap.scenes", demo.scenes, *DRAW))


def scene_steps(demo: Demo, source: Source) -> list[Step]:
    """Return the steps from drawn scenes to an evaluated run."""
    pretrain = _words(
        *("tfcap pretrain --dataset", demo.dataset, "--output", demo.encoder),
        *(*SCENE_ENCODER, *PRETRAIN),
    )
    return [
        *_record_steps(demo, source, BUILD_SCENES),
        Step("Pretrain the encoder, from random weights", pretrain),
        _train_step(demo, *SCENE_ENCODER, "--encoder-weights", demo.encoder, *TRAIN_SCENES),
        _evaluate_step(demo, source),
    ]


def flickr_steps(demo: Demo, source: Source, encoder: Sequence[str]) -> list[Step]:
    """Return the steps from photographs to an evaluated run; `encoder` are flags of train."""
    return [
        *_record_steps(demo, source),
        _train_step(demo, *encoder),
        _evaluate_step(demo, source),
    ]


def export_steps(demo: Demo, pictures: Sequence[Path]) -> list[Step]:
    """Return the steps that export the run, and caption pictures with the export."""
    export = ("tfcap export --run", demo.run, "--output")
    return [
        Step("Export for TF Serving and Python", _words(*export, demo.standard)),
        Step("Export for every TensorFlow runtime", _words(*export, demo.portable, "--portable")),
        Step(
            "Caption held-out pictures with the exported model",
            _words("tfcap caption --model", demo.standard, *pictures),
        ),
    ]


def _record_steps(demo: Demo, source: Source, flags: Sequence[str] = ()) -> list[Step]:
    build = _words(
        *("python -m beam_jobs.build_records --images", source.directory / "Images"),
        *("--captions", source.captions, "--splits", source.directory),
        *("--output", demo.dataset, *flags),
    )
    verify = _words("tfcap verify", demo.dataset)
    return [Step("Build records with Beam", build), Step("Check the records", verify)]


def _train_step(demo: Demo, *flags: str | Path) -> Step:
    command = _words("tfcap train --dataset", demo.dataset, "--run", demo.run, *flags)
    return Step("Train the captioner", command)


def _evaluate_step(demo: Demo, source: Source) -> Step:
    command = _words(
        *("tfcap evaluate --run", demo.run, "--dataset", demo.dataset),
        *("--split", source.held_out, "--predictions", demo.predictions),
    )
    return Step("Evaluate on held-out pictures", command)


def _words(program: str, *arguments: str | Path) -> tuple[str, ...]:
    return (*program.split(), *map(str, arguments))


def prepare_output(output: Path, kept: Sequence[Path]) -> None:
    """Make the demo's directory anew.

    Args:
        output: missing, empty, or the directory of an earlier demo, which is deleted.
        kept: what the demo reads, and must not delete.

    Raises:
        UserError: it is or holds anything else, or cannot be made.
    """
    for path in kept:
        if path.resolve().is_relative_to(output.resolve()):
            raise UserError(f"{path} lies in {output}, which is replaced: name another --output")
    is_ours = (output / MARKER).is_file()
    if output.exists() and not is_ours and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} exists and was not made by the demo: name another --output")
    try:
        if is_ours:
            shutil.rmtree(output)
        output.mkdir(parents=True, exist_ok=True)
        (output / MARKER).touch()
    except OSError as error:
        raise UserError(f"cannot make {output} anew ({error}): name another --output") from None


def run_step(step: Step) -> str:
    """Announce a step and run it; returns what it printed to standard output, which is shown too.

    Raises:
        subprocess.CalledProcessError: it failed; it has said why.
    """
    print(f"\n== {step.title}\n$ {shlex.join(step.command)}", flush=True)
    # Standard error, with the progress bars, goes straight to the terminal.
    with subprocess.Popen(step.argv(), stdout=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, step.command)
    return "".join(lines)


def exact_share(report: str) -> float:
    """Return the percentage in the `exact` line of what `tfcap evaluate` prints."""
    return float(re.search(r"^exact +([\d.]+)%$", report, re.MULTILINE)[1])


def run_demo(demo: Demo, data: Path | None, encoder: Sequence[str]) -> float:
    """Run all steps.

    Args:
        demo: where to.
        data: directory of real photographs, or None to draw scenes.
        encoder: flags of `tfcap train` that choose the encoder of photographs.

    Returns:
        The percentage of held-out pictures whose caption is entirely correct.

    Raises:
        UserError: the directory of photographs is not what it must be.
        subprocess.CalledProcessError: a step failed.
    """
    if data:
        source = flickr_source(data)
        steps = flickr_steps(demo, source, encoder)
    else:
        source = Source(demo.scenes, demo.scenes / CAPTION_FILES[0], "test")
        run_step(draw_step(demo))
        steps = scene_steps(demo, source)
    pictures = source.samples()
    for step in steps:
        report = run_step(step)
    for step in export_steps(demo, pictures):
        run_step(step)
    return exact_share(report)


def summary(demo: Demo, drawn: bool, exact: float, seconds: float) -> str:
    """Return where everything is, and how good the captions are."""
    places = {
        **({"pictures": demo.scenes} if drawn else {}),
        "records": demo.dataset,
        "run": demo.run,
        "predictions": demo.predictions,
        "export": demo.standard,
        "portable export": demo.portable,
    }
    lines = [f"{name:<16}{path}" for name, path in places.items()]
    kind = "scenes" if drawn else "pictures"
    minutes, rest = divmod(round(seconds), 60)
    return "\n".join(
        [
            "\n== Done",
            *lines,
            f"{exact:.1f}% of the held-out {kind} have an entirely correct caption",
            f"{minutes} min {rest} s in all",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0; 1 where too few scenes are captioned correctly; 2 for what the user can
        mend; that of the step that failed; 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tfcap.demo",
        description="Run the whole chain: records, training, evaluation, export, captions. "
        "Without --data, pictures are drawn and nothing is downloaded.",
    )
    add = parser.add_argument
    add("--output", type=Path, required=True, metavar="DIR", help="an earlier demo is replaced")
    add("--data", type=Path, metavar="DIR", help="Flickr8k: Images/, captions and split files")
    add("--encoder", metavar="NAME", help="with --data; see `tfcap train --help`")
    add("--encoder-weights", metavar="WHICH", help="with --data; see `tfcap train --help`")
    arguments = parser.parse_args(argv)
    start = time.monotonic()
    demo = Demo(arguments.output)
    try:
        encoder = _encoder_flags(arguments)
        weights = [Path(value) for value in encoder[1::2]]
        prepare_output(demo.output, [*weights, *([arguments.data] if arguments.data else [])])
        exact = run_demo(demo, arguments.data, encoder)
    except UserError as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"demo: stopped: {shlex.join(error.cmd)} failed", file=sys.stderr)
        return error.returncode
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    print(summary(demo, not arguments.data, exact, time.monotonic() - start))
    if not arguments.data and exact < LEAST_EXACT:
        print(f"demo: failed: {exact:.1f}% exact, below {LEAST_EXACT:.0f}%", file=sys.stderr)
        return 1
    return 0


def _encoder_flags(arguments: argparse.Namespace) -> tuple[str, ...]:
    given = {"--encoder": arguments.encoder, "--encoder-weights": arguments.encoder_weights}
    flags = tuple(word for flag, value in given.items() if value for word in (flag, value))
    if flags and not arguments.data:
        raise UserError(f"{flags[0]} goes with --data: drawn scenes have an encoder of their own")
    return flags


if __name__ == "__main__":
    sys.exit(main())
