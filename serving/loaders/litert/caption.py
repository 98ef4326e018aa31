"""Caption pictures with LiteRT: `tfcap export --litert`, NumPy and Pillow are all it takes.

pip install ai-edge-litert numpy pillow
python caption.py exports/litert/1/caption.int8.tflite photos/*.jpg
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    import tensorflow as tf

    Interpreter = tf.lite.Interpreter

START, END = 2, 3  # lines of vocab.txt; <pad> and <unk> come before


def mixing(source: int, target: int) -> np.ndarray:
    """Return what of each row goes into each row of the resized picture, [target, source].

    A triangle as wide as a target row, as TensorFlow's bilinear resize with antialiasing.
    """
    scale = source / target
    centres = (np.arange(target)[:, None] + 0.5) * scale
    distances = np.abs(np.arange(source) + 0.5 - centres) / max(scale, 1)
    weights = np.maximum(0, 1 - distances)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


class Captioner:
    def __init__(self, model: Path, threads: int = 2):
        facts = json.loads(model.with_name("litert.json").read_text())
        self.size, self.max_words = facts["size"], facts["max_words"]
        self.words = model.with_name("vocab.txt").read_text("utf-8").splitlines()
        interpreter = Interpreter(str(model), num_threads=threads)
        self.encode = interpreter.get_signature_runner("encode")
        self.step = interpreter.get_signature_runner("step")

    def pixels(self, picture: Image.Image) -> np.ndarray:
        pixels = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"), np.float32)
        rows, columns = (mixing(length, self.size) for length in pixels.shape[:2])
        square = np.einsum("yi,ijc,xj->yxc", rows, pixels, columns, optimize=True)
        return np.rint(square).astype(np.uint8)[None]

    def caption(self, pixels: np.ndarray) -> tuple[str, float]:
        """Return the greedy caption of uint8 [1, size, size, 3], and its log probability."""
        state, said, word, log_prob = self.encode(pixels=pixels), [], START, 0.0
        for position in range(self.max_words + 1):
            found = self.step(word=np.array([word], np.int32), **state)
            scores = found.pop("log_probs")[0]
            # Neither <pad> nor <unk> nor <start>, and <end> where there is no room for more.
            word = END + int(np.argmax(scores[END:])) if position < self.max_words else END
            log_prob += float(scores[word])
            if word == END:
                break
            said.append(self.words[word])
            state |= found
        return " ".join(said), log_prob


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    captioner, failed = Captioner(Path(sys.argv[1])), False
    for path in sys.argv[2:]:
        try:
            with Image.open(path) as picture:
                print(path, *captioner.caption(captioner.pixels(picture)), sep="\t", flush=True)
        except OSError as error:
            failed = True
            print(f"{path}: cannot be read ({error}): give a picture", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
