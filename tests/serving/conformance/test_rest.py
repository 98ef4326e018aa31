"""What TF Serving's REST interface answers, as its sources and its documentation say.

Runs against our server; against another one, which serves the model of `tests/tiny_saved_model.py`,
with its address in the environment:

    TFCAP_SERVING_URL=http://host:8501 TFCAP_SERVING_GRPC=host:8500 \\
        python -m pytest tests/serving/conformance

Sources are paths below `tensorflow_serving/` in TF Serving's repository.
"""

import base64
import json
import math

import numpy as np
import pytest
from tiny_saved_model import NAME

MODEL = f"/v1/models/{NAME}"

LOADED = {
    "model_version_status": [
        {
            "version": "1",
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
    ]
}


def b64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


def error_of(response, status: int) -> str:
    """Return the message of an error, whose body holds nothing else."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/json")
    body = response.json()
    assert list(body) == ["error"] and "\n" not in body["error"]
    return body["error"]


class TestStatus:
    """model_servers/get_model_status_impl.cc, g3doc/api_rest.md "Model status API"."""

    @pytest.mark.parametrize("path", [MODEL, f"{MODEL}/versions/1"])
    def test_of_a_loaded_version(self, api, path):
        response = api.rest.get(path)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("application/json")
        assert response.json() == LOADED

    def test_of_what_is_not_there(self, api):
        found = error_of(api.rest.get("/v1/models/nope"), 404)
        assert found == "Could not find any versions of model nope"
        found = error_of(api.rest.get(f"{MODEL}/versions/99"), 404)
        assert found == f"Could not find version 99 of model {NAME}"

    def test_names_are_percent_decoded(self, api):
        """model_servers/http_rest_api_util.cc, DecodeArg."""
        encoded = f"%{ord(NAME[0]):x}{NAME[1:]}"
        assert api.rest.get(f"/v1/models/{encoded}").json() == LOADED


class TestPaths:
    """UnsupportedApiCalls of model_servers/http_rest_api_handler_test.cc."""

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/v1/foo"),
            ("POST", "/v1/foo"),
            ("POST", "/v1/models"),
            ("GET", "/v1/models/foo:predict"),
            ("GET", "/v1/models/foo/version/50:predict"),
            ("POST", "/v1/models/foo/version/50:predict"),
            ("POST", "/v1/models/foo/versions/HELLO:predict"),
            ("PUT", "/v1/models/foo:predict"),
        ],
    )
    def test_malformed(self, api, method, path):
        found = error_of(api.rest.request(method, path), 400)
        assert found.startswith(f"Malformed request: {method} {path}")

    def test_without_a_name(self, api):
        assert "Missing model name" in error_of(api.rest.get("/v1/models"), 400)

    def test_version_that_is_no_int64(self, api):
        assert api.rest.post(f"{MODEL}/versions/{2**64 - 1}:predict").status_code == 400

    def test_case_of_the_path_does_not_matter(self, api):
        """kPathRegex begins with (?i)."""
        assert api.rest.get(f"/V1/Models/{NAME}/Metadata").status_code == 200

    def test_outside_of_v1(self, api):
        """model_servers/http_server.cc: no handler is dispatched to."""
        assert api.rest.get("/v2/models").status_code == 404


class TestMetadata:
    """ToJsonString of model_servers/http_rest_api_util.cc."""

    def test_signatures(self, api):
        response = api.rest.get(f"{MODEL}/metadata")
        assert response.status_code == 200
        found = response.json()
        assert found["model_spec"] == {"name": NAME, "signature_name": "", "version": "1"}
        signature = found["metadata"]["signature_def"]["signature_def"]["numbers"]
        assert signature["method_name"] == "tensorflow/serving/predict"
        assert signature["inputs"]["floats"]["dtype"] == "DT_FLOAT"
        assert signature["inputs"]["floats"]["tensor_shape"] == {
            "dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}],
            "unknown_rank": False,
        }
        assert api.rest.get(f"{MODEL}/versions/1/metadata").json() == found

    def test_of_what_is_not_there(self, api):
        found = error_of(api.rest.get("/v1/models/nope/metadata"), 404)
        assert found == "Servable not found for request: Latest(nope)"
        found = error_of(api.rest.get(f"{MODEL}/labels/stable/metadata"), 400)
        assert "Unrecognized servable version label: stable" in found


class TestWhichModel:
    """core/basic_manager.cc, model_servers/server_core.cc."""

    @pytest.mark.parametrize(
        ("path", "status", "message"),
        [
            ("/v1/models/nope", 404, "Servable not found for request: Latest(nope)"),
            (
                "/v1/models/nope/versions/5",
                404,
                "Servable not found for request: Specific(nope, 5)",
            ),
            (f"{MODEL}/versions/99", 404, f"Servable not found for request: Specific({NAME}, 99)"),
            (f"{MODEL}/labels/canary", 400, "Unrecognized servable version label: canary"),
        ],
    )
    def test_that_is_not_there(self, api, path, status, message):
        response = api.rest.post(f"{path}:predict", json={"instances": ["x"]})
        assert message in error_of(response, status)

    def test_version_by_number(self, api):
        response = api.rest.post(f"{MODEL}/versions/1:predict", json={"instances": ["x"]})
        assert response.json()["predictions"][0]["caption"] == "tiny: x"

    @pytest.mark.parametrize("name", ["nope", "Serving_Default"])
    def test_signature_that_is_not_there(self, api, name):
        """GetInfoMap of model_servers/http_rest_api_handler.cc."""
        found = error_of(api.predict(signature_name=name, instances=["x"]), 400)
        assert found == f'Serving signature name: "{name}" not found in signature def'


class TestRows:
    """FillTensorMapFromInstancesList and MakeRowFormatJsonFromTensors of util/json_tensor.cc."""

    def test_values_of_the_only_input(self, api):
        found = api.predict(instances=["dog", b64(b"cat"), ""]).json()
        bad = {"caption": "", "log_prob": 0.0, "error": "image_bytes cannot be decoded"}
        assert found == {
            "predictions": [
                {"caption": "tiny: dog", "log_prob": -0.3, "error": ""},
                {"caption": "tiny: cat", "log_prob": -0.3, "error": ""},
                bad,
            ]
        }

    def test_objects_of_named_inputs(self, api):
        rows = [
            {"image_bytes": b64(b"dog"), "prompt": "a"},
            {"prompt": "the", "image_bytes": "cat"},
        ]
        found = api.predict(signature_name="complete", instances=rows).json()
        # One output: rows are its values.
        assert found == {"predictions": ["a dog", "the cat"]}

    def test_outputs_of_any_rank(self, api):
        found = api.predict(signature_name="explain", instances=["dog"]).json()
        attention = [[[0.25, 0.25], [0.25, 0.25]]] * 3
        assert found == {"predictions": [{"tokens": ["dog", "dog", ""], "attention": attention}]}

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({"instances": []}, "No values in 'instances'"),
            ({"instances": "dog"}, "to be an list/array"),
            ({"instances": ["a", {"image_bytes": "b"}]}, "but got object at item 1"),
            ({"instances": [{"image_bytes": "b"}, "a"]}, "Expecting object but got list at item 1"),
            ({"instances": [{"picture": "b"}]}, "element: 0"),
            ({"instances": [{"image_bytes": "b", "more": "c"}]}, "element: 0"),
            ({"instances": [["a"], ["b", "c"]]}, ""),
            ({"instances": ["a", ["b"]]}, ""),
            ({"instances": [["a"], "b"]}, ""),
            ({"instances": [7]}, "Type: Number is not of expected type: string"),
            ({"instances": [None]}, "Type: Null is not of expected type: string"),
            ({"instances": ["a"], "signature_name": "complete"}, "multiple input tensors required"),
        ],
    )
    def test_refused(self, api, body, message):
        assert message in error_of(api.predict(**body), 400)


class TestColumns:
    """FillTensorMapFromInputsMap and MakeColumnarFormatJsonFromTensors of util/json_tensor.cc."""

    def test_list_of_the_only_input(self, api):
        found = api.predict(signature_name="fragile", inputs=["dog", b64(b"cat")]).json()
        assert found == {"outputs": ["dog", "cat"]}

    def test_object_of_named_inputs(self, api):
        found = api.predict(inputs={"image_bytes": ["dog", "horse"]}).json()
        assert found == {
            "outputs": {
                "caption": ["tiny: dog", "tiny: horse"],
                "log_prob": [-0.3, -0.5],
                "error": ["", ""],
            }
        }

    def test_other_keys_are_ignored(self, api):
        inputs = {"image_bytes": ["dog"], "more": 5}
        assert api.predict(signature_name="fragile", inputs=inputs).json() == {"outputs": ["dog"]}

    @pytest.mark.parametrize(
        ("inputs", "signature", "message"),
        [
            ({"prompt": ["a"]}, "complete", "Missing named input: image_bytes in 'inputs' object."),
            (["a"], "complete", "multiple input tensors required"),
            ({"image_bytes": [1]}, "fragile", "not of expected type: string"),
            ({"image_bytes": ["a"], "prompt": ["a", "b"]}, "complete", ""),
        ],
    )
    def test_refused(self, api, inputs, signature, message):
        response = api.predict(signature_name=signature, inputs=inputs)
        assert message in error_of(response, 400)


class TestValues:
    """AddValueToTensor, IsLosslessDecimal and WriteDecimal of util/json_tensor.cc."""

    def numbers(self, api, floats=(0.5, 1), whole=3, yes=True):
        row = {"floats": list(floats), "whole": whole, "yes": yes}
        return api.predict(signature_name="numbers", instances=[row])

    def test_numbers_come_back(self, api):
        response = self.numbers(api, (0.2, -7), -(2**63), False)
        row = response.json()["predictions"][0]
        assert row == {"floats": [0.2, -7.0], "whole": -(2**63), "no": True}
        # No digits of noise, and whole floats can be told from integers.
        assert "0.2," in response.text and "-7.0" in response.text

    @pytest.mark.parametrize("value", [1 / 3, 3.4028234e38, 1e-45, 16777215])
    def test_a_float_survives(self, api, value):
        found = self.numbers(api, (value, 0)).json()["predictions"][0]["floats"][0]
        assert np.float32(found) == np.float32(value)

    def test_what_is_not_finite(self, api):
        """kParseNanAndInfFlag."""
        text = '{"signature_name": "numbers", "inputs": {"floats": [[NaN, -Infinity]], '
        text += '"whole": [1], "yes": [true]}}'
        response = api.rest.post(f"{MODEL}:predict", content=text)
        nan, infinity = json.loads(response.text)["outputs"]["floats"][0]
        assert math.isnan(nan) and infinity == -math.inf

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"floats": [1e39, 0]}, "without loss of precision"),
            ({"floats": [16777217, 0]}, "without loss of precision"),
            ({"floats": ["1", 0]}, "Type: String is not of expected type: float"),
            ({"floats": [True, 0]}, "is not of expected type: float"),
            ({"whole": 1.0}, "Type: Number is not of expected type: int64"),
            ({"whole": 2**63}, "Type: Number is not of expected type: int64"),
            ({"yes": 1}, "Type: Number is not of expected type: bool"),
        ],
    )
    def test_refused(self, api, values, message):
        assert message in error_of(self.numbers(api, **values), 400)

    def test_outputs_of_bytes_are_b64(self, api):
        """IsNamedTensorBytes."""
        content = bytes(range(256))
        found = api.predict(signature_name="thumbnail", instances=[b64(content)]).json()
        assert found == {"predictions": [b64(content)]}

    @pytest.mark.parametrize("text", ["Zm9v", "Zm9vYg", "Zm9vYg==", " Zm9v\nYg== "])
    def test_b64_that_is_taken(self, api, text):
        """absl::Base64Unescape: blanks are skipped, padding may be left out."""
        found = api.predict(signature_name="fragile", instances=[{"b64": text}]).json()
        assert found["predictions"] == [base64.b64decode(text + "==").decode()]

    @pytest.mark.parametrize("text", ["Zm9-_w==", "Zm9vY", "%%%%", "Zm=v"])
    def test_b64_that_is_refused(self, api, text):
        """absl::Base64Unescape: the alphabet is not that for URLs."""
        found = error_of(api.predict(instances=[{"b64": text}]), 400)
        assert "Unable to base64 decode" in found

    @pytest.mark.parametrize("value", [{"b64": 5}, {"b64": "Zm9v", "more": 1}])
    def test_b64_of_another_form(self, api, value):
        assert error_of(api.predict(inputs={"image_bytes": [value]}), 400)

    def test_half_precision_has_no_form(self, api):
        """AddSingleValueAndAdvance."""
        found = error_of(api.predict(signature_name="half", instances=["x"]), 400)
        assert "Failed to write JSON value for tensor type: half" in found


class TestDocuments:
    """ParseJson, FillSignature and FillPredictRequestFromJson of util/json_tensor.cc."""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "JSON Parse error: The document is empty"),
            ("instances = [1, 2]", "JSON Parse error: Invalid value"),
            ('{"instances": ["a"', "JSON Parse error"),
            ('{"instances": ["a"]} x', "JSON Parse error"),
            ('{"instances": [1e999]}', "JSON Parse error"),
            ('["a"]', "Is not object"),
            ("{}", "Missing 'inputs' or 'instances' key"),
            ('{"instances": ["a"], "inputs": ["a"]}', "only one of"),
            ('{"signature_name": 100}', "'signature_name' key must be a string value."),
        ],
    )
    def test_refused(self, api, text, message):
        response = api.rest.post(f"{MODEL}:predict", content=text)
        assert message in error_of(response, 400)

    def test_empty_signature_name_is_the_default(self, api):
        found = api.predict(signature_name="", instances=["dog"]).json()
        assert found["predictions"][0]["caption"] == "tiny: dog"
