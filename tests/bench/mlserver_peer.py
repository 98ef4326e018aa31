"""Peer: an export served by MLServer, with its adaptive batching; see serving_peers.py."""

import asyncio
import os

import tensorflow as tf
from mlserver import MLModel
from mlserver.codecs import Base64Codec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Captioner(MLModel):
    """Captions pictures of the open inference protocol, base64, any number a request."""

    async def load(self) -> bool:
        self.loaded = tf.saved_model.load(os.environ["MODEL"])
        self.caption_batch = self.loaded.signatures["serving_default"]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = tf.constant(Base64Codec.decode_input(payload.inputs[0]))
        found = await asyncio.to_thread(self.caption_batch, image_bytes=rows)
        captions = [caption.decode() for caption in found["caption"].numpy()]
        outputs = [StringCodec.encode_output("caption", captions)]
        return InferenceResponse(id=payload.id, model_name=self.name, outputs=outputs)
