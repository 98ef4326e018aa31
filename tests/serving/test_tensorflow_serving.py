"""The configuration of TensorFlow Serving, and every example of its README."""

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf import wrappers_pb2 as wrappers

ROOM = Path(__file__).resolve().parents[2] / "serving" / "tensorflow_serving"
README = (ROOM / "README.md").read_text("utf-8")
MODEL, GRPC, REST, CORES = "tfcap", 8500, 8501, 2
METRICS = "/monitoring/prometheus/metrics"


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of the README in a language, without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", README, re.MULTILINE | re.DOTALL)
    return [re.sub(f"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def message(file: str, *messages: str):
    """Return the class of the first of some messages, each in text form of a DescriptorProto.

    The pip package has no module for these two protos, so their fields stand in the tests.
    """
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers.DESCRIPTOR.serialized_pb)
    schema = descriptor_pb2.FileDescriptorProto(
        name=file,
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[wrappers.DESCRIPTOR.name],
    )
    for one in messages:
        text_format.Parse(one, schema.message_type.add())
    pool.Add(schema)
    name = f"tensorflow.serving.{schema.message_type[0].name}"
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def batching_parameters():
    """Of tensorflow_serving/servables/tensorflow/session_bundle_config.proto."""
    wrapped = [
        "max_batch_size",
        "batch_timeout_micros",
        "max_enqueued_batches",
        "num_batch_threads",
    ]
    fields = "".join(
        f'field {{name: "{name}" number: {number} label: LABEL_OPTIONAL type: TYPE_MESSAGE '
        'type_name: ".google.protobuf.Int64Value"} '
        for number, name in enumerate(wrapped, start=1)
    )
    fields += (
        'field {name: "thread_pool_name" number: 5 label: LABEL_OPTIONAL type: TYPE_MESSAGE '
        'type_name: ".google.protobuf.StringValue"} '
        'field {name: "allowed_batch_sizes" number: 6 label: LABEL_REPEATED type: TYPE_INT64} '
        'field {name: "pad_variable_length_inputs" number: 7 label: LABEL_OPTIONAL type: TYPE_BOOL}'
    )
    parameters = message("session_bundle_config.proto", f'name: "BatchingParameters" {fields}')()
    return text_format.Parse((ROOM / "batching.config").read_text(), parameters)


def monitoring_config():
    """Of tensorflow_serving/config/monitoring_config.proto."""
    config = message(
        "monitoring_config.proto",
        'name: "MonitoringConfig" field {name: "prometheus_config" number: 1 '
        "label: LABEL_OPTIONAL type: TYPE_MESSAGE "
        'type_name: ".tensorflow.serving.PrometheusConfig"}',
        'name: "PrometheusConfig" '
        'field {name: "enable" number: 1 label: LABEL_OPTIONAL type: TYPE_BOOL} '
        'field {name: "path" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING}',
    )()
    return text_format.Parse((ROOM / "monitoring.config").read_text(), config)


def model_config():
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((ROOM / "models.config").read_text(), config)
    [model] = config.model_config_list.config
    return model


def dockerfile() -> dict[str, str]:
    """Return the arguments of the instructions that occur once."""
    text = (ROOM / "Dockerfile").read_text().replace("\\\n", " ")
    return dict(line.split(None, 1) for line in text.splitlines() if line and line[0] != "#")


def flags() -> dict[str, str]:
    server, *found = json.loads(dockerfile()["ENTRYPOINT"])
    assert server == "tensorflow_model_server"
    return dict(flag.removeprefix("--").split("=") for flag in found)


def health_check() -> list[str]:
    return json.loads(dockerfile()["HEALTHCHECK"].split("CMD", 1)[1])


def manifests() -> dict[tuple[str, str], dict]:
    found = yaml.safe_load_all((ROOM / "kubernetes.yaml").read_text())
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def container() -> dict:
    pod = manifests()["Deployment", "tfcap-serving"]["spec"]["template"]["spec"]
    return pod["containers"][0]


def check_labels(model) -> None:
    """A label of a version that is not served would be refused, and the whole file with it."""
    served = set(model.model_version_policy.specific.versions)
    assert set(model.version_labels) == {"stable", "canary"}
    assert served and set(model.version_labels.values()) <= served


def test_models_config_serves_what_its_labels_name():
    model = model_config()
    assert (model.name, model.base_path, model.model_platform) == (
        MODEL, f"/models/{MODEL}", "tensorflow"
    )  # fmt: skip
    check_labels(model)


def test_steps_of_a_canary_are_configurations_that_the_server_takes():
    from tensorflow_serving.config import model_server_config_pb2

    steps = [
        text_format.Parse(block, model_server_config_pb2.ModelConfig())
        for block in blocks("textproto")
    ]
    assert len(steps) == 4
    for step in steps:
        check_labels(step)
    # A label in use moves only to a version that the step before has loaded already.
    for before, after in itertools.pairwise(steps):
        loaded = before.model_version_policy.specific.versions
        assert set(after.version_labels.values()) <= set(loaded)


def test_batching_config_is_what_the_batcher_accepts():
    parameters = batching_parameters()
    sizes = list(parameters.allowed_batch_sizes)
    assert sizes == sorted(set(sizes)) and sizes[0] == 1
    assert sizes[-1] == parameters.max_batch_size.value
    # A client's largest request is a full batch, not more.
    from serving.client.client import BATCHES

    assert BATCHES.pictures == sizes[-1]
    assert "1, 2,\n4, 8, 16 or 32 rows" in README and sizes == [1, 2, 4, 8, 16, 32]
    assert f"waits {parameters.batch_timeout_micros.value // 1000} ms" in README
    assert f"When {parameters.max_enqueued_batches.value} full batches wait" in README


def test_monitoring_path_is_the_documented_one():
    config = monitoring_config()
    assert config.prometheus_config.enable and config.prometheus_config.path == METRICS
    template = manifests()["Deployment", "tfcap-serving"]["spec"]["template"]
    annotations = template["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == METRICS
    assert annotations["prometheus.io/port"] == str(REST)
    assert METRICS in README


def test_ports_files_and_versions_agree_everywhere():
    found, server = flags(), dockerfile()
    assert (int(found["port"]), int(found["rest_api_port"])) == (GRPC, REST)
    assert server["EXPOSE"].split() == [str(GRPC), str(REST)]
    copied = server["COPY"].split()
    assert copied[-1] == "/config/"
    for flag in ("model_config_file", "batching_parameters_file", "monitoring_config_file"):
        assert found[flag].removeprefix("/config/") in copied[:-1]
    assert all((ROOM / name).is_file() for name in copied[:-1])
    # Without it a label cannot be set when the server starts, and it does not.
    assert found["allow_version_labels_for_unavailable_models"] == "true"

    compose = yaml.safe_load((ROOM / "compose.yaml").read_text())["services"][MODEL]
    assert compose["ports"] == [f"{GRPC}:{GRPC}", f"{REST}:{REST}"]
    assert f"${{EXPORTS:-./exports}}:{model_config().base_path}:ro" in compose["volumes"]
    image, version = server["FROM"].split(":")
    assert compose["image"] == f"tfcap-serving:{version}" and f"{image}:{version}" in README
    kustomization = yaml.safe_load((ROOM / "kustomization.yaml").read_text())
    assert kustomization["images"][0]["newTag"] == version
    assert kustomization["configMapGenerator"][0]["files"] == copied[:-1]

    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert ports == {"grpc": GRPC, "rest": REST}
    services = {name: one for (kind, name), one in manifests().items() if kind == "Service"}
    exposed = {
        name: [port["port"] for port in one["spec"]["ports"]] for name, one in services.items()
    }
    assert exposed == {"tfcap-serving": [GRPC, REST], "tfcap-serving-headless": [GRPC]}
    assert set(re.findall(r"localhost:(\d+)", README)) == {str(GRPC), str(REST)}


def test_image_links_the_tensorflow_that_writes_exports():
    import tensorflow as tf

    version = dockerfile()["FROM"].rpartition(":")[2]
    assert version.split(".")[:2] == tf.__version__.split(".")[:2]


def test_threads_are_the_cores_of_the_container():
    compose = yaml.safe_load((ROOM / "compose.yaml").read_text())["services"][MODEL]
    assert batching_parameters().num_batch_threads.value == CORES
    assert container()["resources"]["requests"]["cpu"] == str(compose["cpus"]) == str(CORES)
    pools = [f"--tensorflow_{which}_op_parallelism={CORES}" for which in ("intra", "inter")]
    assert container()["args"] == compose["command"] == pools


def test_pod_has_no_more_rights_than_it_needs():
    pod = manifests()["Deployment", "tfcap-serving"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"{pod['securityContext']['runAsUser']}:" in dockerfile()["USER"]
    own = container()["securityContext"]
    assert own["readOnlyRootFilesystem"] and not own["allowPrivilegeEscalation"]
    assert own["capabilities"] == {"drop": ["ALL"]}
    mounts = {mount["name"]: mount for mount in container()["volumeMounts"]}
    assert mounts["exports"]["mountPath"] == model_config().base_path
    assert mounts["exports"]["readOnly"] and mounts["config"]["mountPath"] == "/config"
    assert set(mounts) == {volume["name"] for volume in pod["volumes"]}
    # A pod must not be killed while it drains.
    sleep = int(container()["lifecycle"]["preStop"]["exec"]["command"][1])
    answer = int(flags()["rest_api_timeout_in_ms"]) / 1000
    assert sleep + answer < pod["terminationGracePeriodSeconds"]


def test_selectors_and_probes_name_what_is_there():
    found = manifests()
    labels = found["Deployment", "tfcap-serving"]["spec"]["template"]["metadata"]["labels"]
    for (kind, _), one in found.items():
        selector = one["spec"]["selector"]
        assert (selector if kind == "Service" else selector["matchLabels"]) == labels
    for probe in ("startupProbe", "readinessProbe"):
        request = container()[probe]["httpGet"]
        assert request == {"path": f"/v1/models/{MODEL}", "port": "rest"}


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_manifests_render():
    done = subprocess.run(["kubectl", "kustomize", ROOM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rendered = {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}
    assert rendered["ConfigMap"]["data"]["models.config"] == (ROOM / "models.config").read_text()
    pod = rendered["Deployment"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == f"tfcap-serving:{dockerfile()['FROM'].split(':')[1]}"
    configuration = next(volume for volume in pod["volumes"] if volume["name"] == "config")
    assert configuration["configMap"]["name"] == rendered["ConfigMap"]["metadata"]["name"]


def test_health_check_tells_a_served_model_from_another(serving_endpoint):
    def healthy(model: str) -> bool:
        port = serving_endpoint.rest.rpartition(":")[2]
        shell = health_check()[-1].replace(str(REST), port).replace(f"models/{MODEL}", model)
        return subprocess.run([*health_check()[:-1], shell], timeout=10).returncode == 0

    assert healthy(f"models/{MODEL}") and not healthy("models/other")


def form(value):
    """Return the form of JSON: its names and kinds, of a list what its first entry is."""
    if isinstance(value, dict):
        return {name: form(one) for name, one in value.items()}
    if isinstance(value, list):
        return [form(one) for one in value[:1]]
    return type(value).__name__


def rows_of(answer: dict) -> int:
    """Return how many rows a prediction has."""
    return len(answer["predictions"] if "predictions" in answer else answer["outputs"]["error"])


@pytest.fixture(scope="module")
def replayed(serving_endpoint, pictures, tmp_path_factory) -> list[tuple[str, dict, dict]]:
    """Each REST example with the documented answer and the one that was got."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    directory = tmp_path_factory.mktemp("replay")
    (directory / "picture.jpg").write_bytes(pictures[0])
    prelude, *calls = blocks("sh")
    separator = "\necho; echo ---\n"
    script = "set -eu\n" + prelude + separator.join(calls)
    script = script.replace(f"http://localhost:{REST}", serving_endpoint.rest)
    done = subprocess.run(
        ["bash"], input=script, cwd=directory, capture_output=True, text=True, check=True
    )
    found = [json.loads(answer) for answer in done.stdout.split("---\n")]
    documented = [json.loads(block) for block in blocks("json")]
    return list(zip(calls, documented, found, strict=True))


def test_documented_rest_requests_get_answers_of_the_documented_form(replayed):
    for call, documented, found in replayed:
        if "metadata" in found:
            documented, found = documented["model_spec"], found["model_spec"]
        assert form(found) == form(documented), call
        if "predict" in call:
            assert rows_of(found) == rows_of(documented), call
    errors = replayed[1][2]["outputs"]["error"]
    assert errors[0] == "" and errors[1].startswith("image_bytes cannot be decoded")


def test_every_signature_is_documented_in_rows_columns_and_grpc(replayed):
    metadata = next(found for _, _, found in replayed if "metadata" in found)
    found = metadata["metadata"]["signature_def"]["signature_def"]
    # Beside the signatures it lists what the model is initialised with.
    signatures = {name for name in found if not name.startswith("__")}
    asked = {"instances": set(), "inputs": set()}
    for call, _, found in replayed:
        if "predict" in call:
            name = re.search(r'"signature_name": "(\w+)"', call)
            kind = "instances" if "predictions" in found else "inputs"
            asked[kind].add(name[1] if name else "serving_default")
    assert asked["instances"] == asked["inputs"] == signatures
    called = {re.match(r'predict\("(\w+)"', block) for block in blocks("python")}
    assert {match[1] for match in called if match} == signatures


def test_documented_grpc_calls_answer_as_rest(
    replayed, serving_endpoint, pictures, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "picture.jpg").write_bytes(pictures[0])
    over_rest = {}
    for call, _, found in replayed:
        if "outputs" in found:
            name = re.search(r'"signature_name": "(\w+)"', call)
            over_rest[name[1] if name else "serving_default"] = found["outputs"]
    prelude, *calls = [block for block in blocks("python") if "serving.client" not in block]
    names = {}
    exec(prelude.replace(f"localhost:{GRPC}", serving_endpoint.grpc), names)
    for call in calls:
        expression, comment = call.split("  # ")
        found = eval(expression, names)
        expected = over_rest[re.match(r'predict\("(\w+)"', call)[1]]
        assert set(comment.strip().split(", ")) == set(found) == set(expected)
        for name, output in found.items():
            if output.dtype == object:
                assert np.vectorize(bytes.decode)(output).tolist() == expected[name]
            else:
                assert np.allclose(output, expected[name], atol=1e-5)
    names["channel"].close()


def test_documented_client_runs(serving_endpoint, pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "picture.jpg").write_bytes(pictures[0])
    [program] = [block for block in blocks("python") if "serving.client" in block]
    exec(program.replace(f"localhost:{GRPC}", serving_endpoint.grpc), {})
    assert capsys.readouterr().out.strip()


def test_documented_metrics_are_there(serving_endpoint):
    import httpx

    answer = httpx.get(serving_endpoint.rest + METRICS)
    assert answer.status_code == 200 and "# TYPE" in answer.text
