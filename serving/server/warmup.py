"""Calls a model before its first request.

The requests are those of `assets.extra/tf_serving_warmup_requests`, a TFRecord file of
PredictionLog that TF Serving replays too (`saved_model_warmup_util.cc`: at most 1,000, and one that
fails fails the load). A model without them is called with one row of zeros or empty strings.
"""

import logging
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.server.errors import RequestError, StartError, one_line
from serving.server.model import DEFAULT_SIGNATURE, Arrays, Model, Signature
from serving.server.proto_codec import read_tensor

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
MAX_REQUESTS = 1000
_MAX_BYTES = 2**30

logger = logging.getLogger(__name__)


def warm_up(model: Model, path: Path) -> None:
    """Call a model as its warm-up requests say, else each signature once.

    Raises:
        StartError: a warm-up request fails.
    """
    file = path / WARMUP_FILE
    if file.is_file():
        _replay(model, file)
        return
    for name, signature in model.signatures.items():
        try:
            model.run(name, _nothing(signature))
        except tf.errors.OpError as error:
            # It may be right not to answer to nothing; what the model answers to is not known.
            logger.info("%s does not take empty inputs: %s", name, one_line(error))


def _replay(model: Model, file: Path) -> None:
    try:
        records = list(tf.data.TFRecordDataset(str(file)).as_numpy_iterator())
        if len(records) > MAX_REQUESTS:
            raise ValueError(f"{len(records)} requests, more than {MAX_REQUESTS}")
        for record in records:
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            inputs = {
                key: read_tensor(key, each, _MAX_BYTES) for key, each in request.inputs.items()
            }
            model.signatures[name].check(inputs)
            model.run(name, inputs)
    except KeyError as error:
        raise StartError(f"{file} names a signature that is not there: {error}") from None
    except (RequestError, ValueError, tf.errors.OpError) as error:
        raise StartError(f"{file} fails: {one_line(error)}") from None


def _nothing(signature: Signature) -> Arrays:
    """Return one row of zeros or empty strings for each input."""
    inputs = {}
    for name, spec in signature.inputs.items():
        shape = [max(size, 1) for size in spec.shape or (1,)]
        nothing = b"" if spec.dtype == tf.string else 0
        inputs[name] = np.full(shape, nothing, spec.dtype.as_numpy_dtype)
    return inputs
