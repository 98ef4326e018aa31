"""Captions pictures with an exported SavedModel; needs the package tensorflow and nothing else.

    python caption.py EXPORT PICTURE...

EXPORT is a version's directory of a portable export. Prints one line a picture: its path, a tab,
its caption. Exit code 0; 1 where a picture has no caption; 2 where the model cannot be used.
"""

import os
import sys
from pathlib import Path


def main(export: str, *pictures: str) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's log is no error of ours
    import tensorflow as tf

    try:
        captioner = tf.saved_model.load(export).signatures["serving_default"]
        if not {"caption", "error"} <= captioner.structured_outputs.keys():
            raise ValueError("the signature is not that of a captioner")
    except (OSError, KeyError, ValueError, RuntimeError, tf.errors.OpError) as error:
        print(f"caption: {export}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    code = 0
    for path in pictures:
        try:
            found = captioner(image_bytes=tf.constant([Path(path).read_bytes()]))
        except OSError:
            print(f"caption: {path} cannot be read", file=sys.stderr)
            code = 1
            continue
        if error := found["error"].numpy()[0].decode():
            print(f"caption: {path}: {error}", file=sys.stderr)
            code = 1
        else:
            print(f"{path}\t{found['caption'].numpy()[0].decode()}")
    return code


if __name__ == "__main__":
    if len(sys.argv) < 3:
        print("usage: caption.py EXPORT PICTURE...", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
