"""Peer: an export served by Ray Serve, with its dynamic batching; see serving_peers.py."""

import asyncio
import base64
import os
import sys
import time

import ray
import tensorflow as tf
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse


@serve.deployment(max_ongoing_requests=256)
class Captioner:
    """Captions pictures, base64 in JSON, one a request."""

    def __init__(self, path: str):
        self.model = tf.saved_model.load(path)
        self.caption_batch = self.model.signatures["serving_default"]

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.005)
    async def caption(self, pictures: list[str]) -> list[list[str]]:
        rows = tf.constant([base64.b64decode(picture) for picture in pictures])
        found = await asyncio.to_thread(self.caption_batch, image_bytes=rows)
        return [[caption.decode()] for caption in found["caption"].numpy()]

    async def __call__(self, request: Request) -> JSONResponse:
        (picture,) = (await request.json())["pictures"]
        return JSONResponse(await self.caption(picture))


if __name__ == "__main__":
    ray.init(include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Captioner.bind(os.environ["MODEL"]), route_prefix="/caption")
    while True:
        time.sleep(3600)
