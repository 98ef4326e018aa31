"""Requests that TF Serving makes to a version before it answers anybody with it.

TensorFlow plans a graph at its first call with each size of batch; whoever comes first would wait.
TF Serving replays `assets.extra/tf_serving_warmup_requests`, at most 1,000, and refuses a version
of which one fails.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image
from tensorflow import make_tensor_proto
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from records.tfrecord import write_records

REQUESTS = "assets.extra/tf_serving_warmup_requests"
BATCH_SIZES = (1, 2, 4, 8, 16, 32)  # also of serving/tensorflow_serving
_TEXT = "a dog"


def write_warm_up(export: Path, signatures: dict[str, Sequence[str]], sizes: Sequence[int]) -> None:
    """Write an export's requests: the default signature with each size of batch, the others with 1.

    Args:
        export: the version's directory, with `assets.extra` in it.
        signatures: by name, their inputs.
        sizes: of the batches that a server is allowed to form.
    """
    with (export / REQUESTS).open("wb") as file:
        write_records(file, _requests(signatures, sizes))


def _requests(signatures: dict[str, Sequence[str]], sizes: Sequence[int]) -> Iterator[bytes]:
    picture = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(picture, "JPEG")
    for name, inputs in signatures.items():
        for size in sizes if name == "serving_default" else (1,):
            request = PredictRequest()
            # TF Serving puts in the name that it serves the model under.
            request.model_spec.name = "default"
            request.model_spec.signature_name = name
            for column in inputs:
                row = picture.getvalue() if column == "image_bytes" else _TEXT
                request.inputs[column].CopyFrom(make_tensor_proto([row] * size))
            log = PredictionLog()
            log.predict_log.request.CopyFrom(request)
            yield log.SerializeToString(deterministic=True)
