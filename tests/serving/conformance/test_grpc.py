"""What TF Serving's gRPC interface answers, as its sources say; run as `test_rest.py` is."""

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)
from tiny_saved_model import NAME


def request_of(signature="", name=NAME, version=None, **inputs) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for key, values in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(values))
    return request


def error_of(call, request, code: grpc.StatusCode) -> str:
    with pytest.raises(grpc.RpcError) as raised:
        call(request, timeout=30)
    assert raised.value.code() == code, raised.value.details()
    return raised.value.details()


INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


class TestPredict:
    """servables/tensorflow/predict_util.cc."""

    def test_all_outputs(self, api):
        found = api.predictions.Predict(request_of(image_bytes=[b"dog", b"\xff", b""]), timeout=30)
        assert found.model_spec.name == NAME and found.model_spec.version.value == 1
        assert found.model_spec.signature_name == "serving_default"
        captions = tf.make_ndarray(found.outputs["caption"]).tolist()
        assert captions == [b"tiny: dog", b"tiny: \xff", b""]
        assert set(found.outputs) == {"caption", "log_prob", "error"}

    def test_values_are_in_their_own_fields(self, api):
        """kAsProtoField is the default of --prefer_tensor_content's absence."""
        floats = [[0.5, 1.5], [2.5, 3.5]]
        request = request_of("numbers", floats=floats, whole=tf.constant([1, 2], tf.int64))
        request.inputs["yes"].CopyFrom(tf.make_tensor_proto([True, False]))
        found = api.predictions.Predict(request, timeout=30)
        assert list(found.outputs["floats"].float_val) == [0.5, 1.5, 2.5, 3.5]
        assert [dim.size for dim in found.outputs["floats"].tensor_shape.dim] == [2, 2]
        assert list(found.outputs["whole"].int64_val) == [1, 2]
        assert list(found.outputs["no"].bool_val) == [False, True]

    def test_output_filter(self, api):
        request = request_of(image_bytes=[b"dog"])
        request.output_filter.append("caption")
        assert set(api.predictions.Predict(request, timeout=30).outputs) == {"caption"}

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (["nope"], "output tensor alias not found in signature: nope"),
            (["caption", "caption"], "duplicate output tensor alias: caption"),
        ],
    )
    def test_wrong_output_filter(self, api, names, message):
        request = request_of(image_bytes=[b"dog"])
        request.output_filter.extend(names)
        assert message in error_of(api.predictions.Predict, request, INVALID)

    def test_error_of_an_op(self, api):
        """An op's error has the op's code."""
        message = error_of(
            api.predictions.Predict, request_of("fragile", image_bytes=["boom"]), INVALID
        )
        assert "boom is not taken" in message or "assertion failed" in message

    @pytest.mark.parametrize(
        ("request_", "code", "message"),
        [
            (predict_pb2.PredictRequest(), INVALID, "Missing ModelSpec"),
            (request_of(name=""), INVALID, "ModelSpec has no name specified."),
            (request_of(name="nope"), MISSING, "Servable not found for request: Latest(nope)"),
            (
                request_of(version=99),
                MISSING,
                f"Servable not found for request: Specific({NAME}, 99)",
            ),
            (
                request_of("nope", image_bytes=[b"x"]),
                grpc.StatusCode.FAILED_PRECONDITION,
                'Serving signature key "nope" not found.',
            ),
            (request_of(), INVALID, "input size does not match signature: 0!=1"),
            (
                request_of(image_bytes=[b"x"], more=[b"y"]),
                INVALID,
                "Sent extra: {more}. Missing but required: {}.",
            ),
            (request_of(picture=[b"x"]), INVALID, ""),
            (request_of(image_bytes=[1.5]), INVALID, ""),
            (request_of("complete", image_bytes=[b"x"], prompt=[b"x", b"y"]), INVALID, ""),
        ],
        ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else None,
    )
    def test_refused(self, api, request_, code, message):
        assert message in error_of(api.predictions.Predict, request_, code)

    def test_label(self, api):
        """GetModelVersionForLabel of model_servers/server_core.cc."""
        request = request_of(image_bytes=[b"x"])
        request.model_spec.version_label = "canary"
        message = error_of(api.predictions.Predict, request, INVALID)
        assert message == "Unrecognized servable version label: canary"

    def test_tensor_that_contradicts_itself(self, api):
        """tensor parsing error of PreProcessPrediction."""
        request = request_of(image_bytes=[b"x"])
        request.inputs["image_bytes"].string_val.append(b"y")
        message = error_of(api.predictions.Predict, request, INVALID)
        assert message.startswith("tensor parsing error: image_bytes")


class TestMetadata:
    """servables/tensorflow/get_model_metadata_impl.cc."""

    def test_signatures(self, api):
        request = get_model_metadata_pb2.GetModelMetadataRequest()
        request.model_spec.name = NAME
        request.metadata_field.append("signature_def")
        found = api.predictions.GetModelMetadata(request, timeout=30)
        assert (found.model_spec.name, found.model_spec.version.value) == (NAME, 1)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        assert found.metadata["signature_def"].Unpack(signatures)
        numbers = signatures.signature_def["numbers"]
        assert numbers.inputs["floats"].dtype == tf.float32.as_datatype_enum
        assert [dim.size for dim in numbers.inputs["floats"].tensor_shape.dim] == [-1, 2]

    @pytest.mark.parametrize("fields", [[], ["nope"]])
    def test_refused(self, api, fields):
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
        request.model_spec.name = NAME
        assert "etadata" in error_of(api.predictions.GetModelMetadata, request, INVALID)


class TestStatus:
    """model_servers/get_model_status_impl.cc."""

    def request(self, name=NAME, version=None):
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        if version is not None:
            request.model_spec.version.value = version
        return request

    @pytest.mark.parametrize("version", [None, 1])
    def test_of_a_loaded_version(self, api, version):
        found = api.models.GetModelStatus(self.request(version=version), timeout=30)
        (status,) = found.model_version_status
        assert (status.version, status.status.error_code) == (1, 0)
        assert status.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE

    def test_of_what_is_not_there(self, api):
        call = api.models.GetModelStatus
        message = error_of(call, self.request("nope"), MISSING)
        assert message == "Could not find any versions of model nope"
        message = error_of(call, self.request(version=99), MISSING)
        assert message == f"Could not find version 99 of model {NAME}"
        empty = get_model_status_pb2.GetModelStatusRequest()
        assert error_of(call, empty, INVALID) == "Missing ModelSpec"
