"""ONNX models: .onnx files, with their tensors inside or beside them, run by onnxruntime."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime
from mlserver.errors import InferenceError
from mlserver.types import RequestInput

from fairtrial_servers.errors import ModelError
from fairtrial_servers.formats import ONNX_SUFFIXES, one_file
from fairtrial_servers.models import Signature
from fairtrial_servers.runtime import Runtime, check_rows, decode_named
from fairtrial_servers.safety.onnx_files import check_onnx
from fairtrial_servers.tensor_runtime import made_up, parse_threads
from fairtrial_servers.tensor_specs import NUMPY, Array, TensorSpec
from fairtrial_servers.tensors import decode

logger = logging.getLogger("fairtrial.servers")

_DATATYPES = {
    "float": "FP32", "double": "FP64", "float16": "FP16", "bool": "BOOL", "string": "BYTES",
    **{name.lower(): name for name in NUMPY if "INT" in name},
}  # fmt: skip
#: How converters from scikit-learn write probabilities: a map from label to number for each row.
_MAPS = ("seq(map(int64,tensor(float)))", "seq(map(string,tensor(float)))")

#: What onnxruntime raises; its errors have no common base, and their module no types.
_native: Any = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
_FAILURES: tuple[type[Exception], ...] = (
    _native.Fail,
    _native.InvalidArgument,
    _native.InvalidGraph,
    _native.InvalidProtobuf,
    _native.NoSuchFile,
    _native.NotImplemented,
    _native.RuntimeException,
)


class OnnxRuntime(Runtime):
    """Serves one ONNX graph, by the names of its own inputs and outputs; a request that names no output
    is given all.

    Parameter of the graph node: `threads` (of one prediction; default 1).
    """

    platform: ClassVar[str] = "onnxruntime_onnx"  # the name that KServe's V2 protocol has for it

    _session: Any
    _batched: tuple[str, ...]
    _maps: frozenset[str]

    def open(self, path: Path, parameters: Mapping[str, str]) -> Signature:
        file = one_file(path, ONNX_SUFFIXES)
        check_onnx(file)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = parse_threads(parameters)
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only: what it raises is reported by us
        try:
            self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except _FAILURES as error:
            raise ModelError(f"onnxruntime cannot load {file}: {_reason(error)}") from error
        given = self._session.get_outputs()
        self._maps = frozenset(output.name for output in given if output.type in _MAPS)
        inputs = tuple(_spec(each, "input") for each in self._session.get_inputs())
        outputs = tuple(_spec(each, "output") for each in given)
        # One axis of any length, by one name where it has one: the rows of all these are the same rows.
        open_axes = {each.name: each.shape[0] for each in self._session.get_inputs() if each.shape}
        labels = [label for label in open_axes.values() if not isinstance(label, int)]
        self._batched = tuple(name for name, label in open_axes.items() if label in labels[:1])
        self._warm_up(inputs, outputs)
        return Signature(inputs, outputs, tuple(spec.name for spec in outputs))

    def decode_inputs(self, tensors: Sequence[RequestInput]) -> dict[str, Array]:
        specs = self._signature.inputs
        if len(specs) == 1 and len(tensors) == 1:
            return {specs[0].name: decode(tensors[0], specs[0])}
        arrays = decode_named(tensors, specs)
        check_rows({name: array for name, array in arrays.items() if name in self._batched})
        return arrays

    def has_independent_rows(self) -> bool:
        rows = all(spec.name in self._batched for spec in self._signature.inputs)
        return rows and super().has_independent_rows()

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        try:
            answers = self._session.run(list(outputs), dict(inputs))
        except _FAILURES as error:
            raise InferenceError(f"the model refuses this input: {_reason(error)}") from error
        return {
            name: _table(answer) if name in self._maps else np.asarray(answer)
            for name, answer in zip(outputs, answers, strict=True)
        }

    def _warm_up(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
        zeros = {spec.name: made_up(spec) for spec in inputs}
        try:
            self.infer(zeros, [spec.name for spec in outputs])
        except InferenceError as error:
            logger.info("no warm-up: %s", error)


def _spec(declared: Any, what: str) -> TensorSpec:
    """An input or output as the graph declares it; axes that it names or leaves open are -1."""
    if what == "output" and declared.type in _MAPS:
        return TensorSpec(declared.name, "FP32", (-1, -1))
    kind = declared.type.removeprefix("tensor(").removesuffix(")")
    if kind not in _DATATYPES:
        raise ModelError(
            f'the {what} "{declared.name}" is a {declared.type}, for which V2 tensors have no form'
        )
    shape = tuple(size if isinstance(size, int) else -1 for size in declared.shape)
    return TensorSpec(declared.name, _DATATYPES[kind], shape)


def _table(rows: list[dict[Any, float]]) -> Array:
    """[n, labels] of one map for each row, the labels in the order of the first row."""
    return np.array([list(row.values()) for row in rows], dtype=np.float32)


def _reason(error: Exception) -> str:
    """onnxruntime's words without its codes: "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : ..."."""
    line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return line.split(" : ", 3)[-1] if line.startswith("[ONNXRuntimeError]") else line
