"""Peer: an export served by BentoML, with its adaptive batching; see serving_peers.py."""

import base64
import os

import bentoml
import tensorflow as tf


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 1024})
class Captioner:
    """Captions pictures, base64, one a request."""

    def __init__(self):
        self.model = tf.saved_model.load(os.environ["MODEL"])
        self.caption_batch = self.model.signatures["serving_default"]

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=30_000)
    def caption(self, pictures: list[str]) -> list[str]:
        found = self.caption_batch(
            image_bytes=tf.constant([base64.b64decode(picture) for picture in pictures])
        )
        return [caption.decode() for caption in found["caption"].numpy()]
