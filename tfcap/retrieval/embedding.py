"""The embedding of one picture, by the signature that `caption_images --embeddings` calls."""

from collections.abc import Callable

import tensorflow as tf

from records.errors import UserError


def embed_picture(signature: Callable, encoded: bytes, name: str) -> list[float]:
    """Return the embedding of a picture, C numbers.

    Args:
        signature: `embed` of an export.
        encoded: bytes of a picture file, ready for it.
        name: of the picture, for messages.

    Raises:
        UserError: the export does not take the picture.
    """
    found = signature(image_bytes=tf.constant([encoded]))
    if error := found["error"].numpy()[0].decode():
        raise UserError(f"{name}: {error}")
    return found["embedding"].numpy()[0].tolist()
