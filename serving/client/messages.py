"""The messages of TensorFlow Serving's gRPC interface, as far as a captioner's client needs them.

They are the same on the wire as those of tensorflow-serving-api, whose package brings TensorFlow.
Field numbers: tensorflow/core/framework/tensor.proto and tensor_shape.proto,
tensorflow_serving/apis/model.proto, predict.proto and get_model_status.proto. They live in a pool
of their own, so that they never meet TensorFlow's in a process that has both.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "tfcap.client"
_Field = descriptor_pb2.FieldDescriptorProto
_INT32, _INT64, _FLOAT = _Field.TYPE_INT32, _Field.TYPE_INT64, _Field.TYPE_FLOAT
_STRING, _BYTES = _Field.TYPE_STRING, _Field.TYPE_BYTES

# Message to (field, number, type or name of a message, how often). Enums are int32 on the wire.
_SCHEMA = {
    "Dim": [("size", 1, _INT64, "one")],
    "TensorShape": [("dim", 2, "Dim", "many")],
    "Tensor": [
        ("dtype", 1, _INT32, "one"),
        ("tensor_shape", 2, "TensorShape", "one"),
        ("tensor_content", 4, _BYTES, "one"),
        ("float_val", 5, _FLOAT, "many"),
        ("string_val", 8, _BYTES, "many"),
    ],
    "Int64Value": [("value", 1, _INT64, "one")],
    "ModelSpec": [
        ("name", 1, _STRING, "one"),
        ("version", 2, "Int64Value", "one"),
        ("signature_name", 3, _STRING, "one"),
        ("version_label", 4, _STRING, "one"),
    ],
    "PredictRequest": [("model_spec", 1, "ModelSpec", "one"), ("inputs", 2, "Tensor", "map")],
    "PredictResponse": [("outputs", 1, "Tensor", "map"), ("model_spec", 2, "ModelSpec", "one")],
    "GetModelStatusRequest": [("model_spec", 1, "ModelSpec", "one")],
    "Status": [("error_code", 1, _INT32, "one"), ("error_message", 2, _STRING, "one")],
    "ModelVersionStatus": [
        ("version", 1, _INT64, "one"),
        ("state", 2, _INT32, "one"),
        ("status", 3, "Status", "one"),
    ],
    "GetModelStatusResponse": [("model_version_status", 1, "ModelVersionStatus", "many")],
}


def _add_field(message, name: str, number: int, kind: int | str, often: str) -> None:
    label = _Field.LABEL_OPTIONAL if often == "one" else _Field.LABEL_REPEATED
    field = message.field.add(name=name, number=number, label=label)
    if often == "map":  # on the wire, a repeated message of a key and a value
        entry = message.nested_type.add(name=f"{name.title()}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, _STRING, "one")
        _add_field(entry, "value", 2, kind, "one")
        kind = f"{message.name}.{entry.name}"
    if isinstance(kind, str):
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = kind


def _build() -> dict[str, type]:
    file = descriptor_pb2.FileDescriptorProto(
        name="tfcap/client.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add_field(message, *field)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _SCHEMA
    }


_CLASSES = _build()
Tensor = _CLASSES["Tensor"]
PredictRequest = _CLASSES["PredictRequest"]
PredictResponse = _CLASSES["PredictResponse"]
GetModelStatusRequest = _CLASSES["GetModelStatusRequest"]
GetModelStatusResponse = _CLASSES["GetModelStatusResponse"]
