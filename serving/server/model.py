"""A SavedModel in a session: the way in which TF Serving runs it."""

import dataclasses
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from serving.server.errors import StartError, invalid, one_line
from serving.server.memory import give_back_memory

Arrays = dict[str, np.ndarray]
DEFAULT_SIGNATURE = "serving_default"
# The types that C++ has other names for than Python, as TF Serving's messages have them.
_TYPE_NAMES = {tf.float16: "half", tf.float32: "float", tf.float64: "double"}


def type_name(dtype: tf.DType | np.dtype) -> str:
    """Return the name of a type, as TF Serving says it."""
    dtype = tf.as_dtype(dtype)
    return _TYPE_NAMES.get(dtype, dtype.name)


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """What a signature says of one input or output.

    Attributes:
        tensor: its name in the graph.
        dtype: of TensorFlow.
        shape: -1 where a dimension is free; None where the rank is.
    """

    tensor: str
    dtype: tf.DType
    shape: tuple[int, ...] | None

    @property
    def has_rows(self) -> bool:
        """Whether the first dimension is free, as that of a batch is."""
        return self.shape is None or (len(self.shape) > 0 and self.shape[0] == -1)

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Tell whether an array of this shape can be fed."""
        return self.shape is None or (
            len(shape) == len(self.shape)
            and all(want in (-1, got) for want, got in zip(self.shape, shape, strict=True))
        )


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function of a SavedModel.

    Attributes:
        name: its name.
        inputs: by name.
        outputs: by name.
    """

    name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    @property
    def batched(self) -> bool:
        """Whether calls can be merged: row i of each output belongs to row i of each input."""
        return all(spec.has_rows for spec in (*self.inputs.values(), *self.outputs.values()))

    def check(self, inputs: Arrays) -> int:
        """Check the inputs of a call, so that it cannot spoil a batch.

        Returns:
            the number of rows; 1 where the signature is not batched.

        Raises:
            RequestError: names, types or shapes are wrong, or the numbers of rows differ.
        """
        if inputs.keys() != self.inputs.keys():
            raise invalid(_wrong_names(set(inputs), set(self.inputs)))
        for name, array in inputs.items():
            spec = self.inputs[name]
            if array.dtype != spec.dtype.as_numpy_dtype:
                raise invalid(
                    f"input {name} expects {type_name(spec.dtype)} but "
                    f"{type_name(array.dtype)} is provided"
                )
            if self.batched and array.ndim == 0:
                raise invalid(
                    f"Batching Run() input tensors must have at least one dimension: {name}"
                )
            if not spec.fits(array.shape):
                raise invalid(
                    f"input {name} has shape {list(array.shape)}, expected {list(spec.shape)}"
                )
        if not self.batched:
            return 1
        rows = {len(array) for array in inputs.values()}
        if len(rows) > 1:
            raise invalid(
                "Batching Run() input tensors must have equal 0th-dimension size, "
                f"got {sorted(rows)}"
            )
        return rows.pop()


class Model:
    """A loaded SavedModel.

    Attributes:
        signatures: those that can be called, by name.
        signature_defs: all of them, as they are written in the SavedModel.
    """

    def __init__(self, path: Path):
        """Load a SavedModel.

        Raises:
            StartError: it cannot be loaded.
        """
        self._running = 0
        self._idle = threading.Condition()
        self._calls: dict[str, Callable] = {}
        _import_text_ops(path)
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        try:
            with graph.as_default():
                loaded = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(path))
            self.signature_defs = dict(loaded.signature_def)
            self.signatures = {
                name: found
                for name, definition in self.signature_defs.items()
                if (found := _read_signature(name, definition))
            }
            if not self.signatures:
                raise StartError(f"{path} has no signature that can be called")
            self._calls = {
                name: self._session.make_callable(
                    [spec.tensor for spec in signature.outputs.values()],
                    [spec.tensor for spec in signature.inputs.values()],
                )
                for name, signature in self.signatures.items()
            }
        except Exception as error:
            self.close()
            if isinstance(error, StartError):
                raise
            # Whatever is wrong with the files, TensorFlow has an exception of its own for it.
            raise StartError(f"{path} cannot be loaded: {one_line(error)}") from None

    def run(self, name: str, inputs: Arrays) -> Arrays:
        """Call a signature with inputs that it has checked.

        Raises:
            tf.errors.OpError: an op failed.
        """
        signature = self.signatures[name]
        with self._idle:
            self._running += 1
        try:
            outputs = self._calls[name](*(inputs[each] for each in signature.inputs))
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()
        return dict(zip(signature.outputs, map(np.asarray, outputs), strict=True))

    def close(self) -> None:
        """Free all that the model holds, after the calls under way."""
        with self._idle:
            self._idle.wait_for(lambda: not self._running)
        self._calls.clear()
        self._session.close()
        give_back_memory()


def _read_signature(name: str, definition: meta_graph_pb2.SignatureDef) -> Signature | None:
    """Return a signature; None for what is no function of dense tensors, as is the initializer."""
    infos = [*definition.inputs.values(), *definition.outputs.values()]
    dense = all(info.WhichOneof("encoding") == "name" for info in infos)
    if not (definition.inputs and definition.outputs and dense):
        return None

    def read(info: meta_graph_pb2.TensorInfo) -> TensorSpec:
        shape = info.tensor_shape
        sizes = None if shape.unknown_rank else tuple(int(dim.size) for dim in shape.dim)
        return TensorSpec(info.name, tf.as_dtype(info.dtype), sizes)

    return Signature(
        name,
        {key: read(definition.inputs[key]) for key in sorted(definition.inputs)},
        {key: read(definition.outputs[key]) for key in sorted(definition.outputs)},
    )


def _import_text_ops(path: Path) -> None:
    """Register the ops of tensorflow-text, where the graph uses any: TF Serving has them built in.

    Raises:
        StartError: there is no SavedModel, or it needs the package and that is not installed.
    """
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((path / "saved_model.pb").read_bytes())
    except (OSError, ValueError, DecodeError) as error:
        raise StartError(f"{path} holds no SavedModel that can be read: {error}") from None
    graphs = [meta.graph_def for meta in saved.meta_graphs]
    nodes = [node for graph in graphs for node in graph.node]
    nodes += [
        n for graph in graphs for function in graph.library.function for n in function.node_def
    ]
    if any(node.op.startswith("TFText>") for node in nodes):
        try:
            import tensorflow_text  # noqa: F401
        except ImportError:
            raise StartError(
                f"{path} uses ops of tensorflow-text, which is not installed: install it in "
                "TensorFlow's version, or serve a portable export"
            ) from None


def _wrong_names(given: set[str], wanted: set[str]) -> str:
    def listed(names: set[str]) -> str:
        return "{" + ",".join(sorted(names)) + "}"

    return (
        f"input size does not match signature: {len(given)}!={len(wanted)} "
        f"len({listed(given)}) != len({listed(wanted)}). Sent extra: {listed(given - wanted)}. "
        f"Missing but required: {listed(wanted - given)}."
    )
