"""PyTorch models: .pt files of TorchScript, .pt2 files of torch.export, run by PyTorch on the CPU."""

from __future__ import annotations

import importlib
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mlserver.errors import InferenceError

from fairtrial_servers.declared import FORM, METADATA, declared_inputs, from_metadata
from fairtrial_servers.errors import ModelError
from fairtrial_servers.formats import PYTORCH_SUFFIXES, one_file
from fairtrial_servers.models import Signature
from fairtrial_servers.safety.torch_files import Kind, check_torch
from fairtrial_servers.safety.torch_traces import traced_inputs
from fairtrial_servers.tensor_runtime import TensorRuntime, made_up, observed_outputs, parse_threads
from fairtrial_servers.tensor_specs import NUMPY, Array, TensorSpec

torch: Any = importlib.import_module("torch")  # its own annotations are not strict

_DATATYPES = {getattr(torch, dtype.name): name for name, dtype in NUMPY.items() if name != "BYTES"}
#: TorchScript watches the first runs of a shape and then compiles it anew.
_WARM_UPS = 3
#: What PyTorch raises for input that a model cannot take.
_FAILURES = (RuntimeError, AssertionError, ValueError, TypeError, IndexError, KeyError, NotImplementedError)


class PyTorchRuntime(TensorRuntime):
    """Serves one TorchScript module or exported program; a request that names no output is given all.

    Parameters of the graph node: `threads` (of one prediction; default 1), `inputs` (names, datatypes and
    shapes of a scripted module, whose file does not state them; see declared.py).
    """

    platform: ClassVar[str] = "pytorch_torchscript"

    _call: Callable[[list[Any]], Any]
    _order: tuple[str, ...]
    _example: tuple[TensorSpec, ...] | None = None  # what a traced module was traced with

    def open(self, path: Path, parameters: Mapping[str, str]) -> Signature:
        file = one_file(path, PYTORCH_SUFFIXES)
        threads = parse_threads(parameters)
        kind = check_torch(file)
        torch.set_num_threads(threads)
        try:
            # Said of TorchScript as such, by each call; whoever serves a file has made it already.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                inputs = (
                    self._open_script(file, parameters) if kind is Kind.SCRIPT else self._open_exported(file)
                )
        except _FAILURES as error:
            raise ModelError(f"PyTorch cannot load {file}: {_reason(error)}") from error
        self._order = tuple(spec.name for spec in inputs)
        try:
            outputs = observed_outputs(self._run, inputs)
        except ModelError:
            if self._example is None:
                raise
            # Traced for the example's own size and no other.
            inputs = self._example
            outputs = observed_outputs(self._run, inputs)
        for _ in range(_WARM_UPS):
            self._run({spec.name: made_up(spec) for spec in inputs})
        return Signature(inputs, outputs, tuple(spec.name for spec in outputs))

    def _open_script(self, file: Path, parameters: Mapping[str, str]) -> tuple[TensorSpec, ...]:
        module = torch.jit.load(file, map_location="cpu").eval()
        arguments = [
            argument for argument in module.forward.schema.arguments[1:] if not argument.has_default_value()
        ]
        wrong = [argument.name for argument in arguments if str(argument.type) != "Tensor"]
        if wrong or not arguments:
            what = f"{wrong[0]}, which is no tensor" if wrong else "nothing"
            raise ModelError(f"forward of {file} takes {what}: a served module takes one tensor or more")
        self._call = lambda tensors: module(*tensors)
        names = [argument.name for argument in arguments]
        said = _said_inputs(file, names, parameters)
        if said:
            return said
        traced = traced_inputs(file)
        if traced is None or len(traced) < len(names):
            raise ModelError(
                f"{file} is a scripted module, which does not state the shapes of its inputs "
                f"({', '.join(names)}): say them by the parameter {FORM}, or in a {METADATA} beside it; "
                f"a traced module or an exported program states them itself"
            )
        self._example = tuple(TensorSpec(name, *seen) for name, seen in zip(names, traced, strict=False))
        return tuple(
            replace(spec, shape=(-1, *spec.shape[1:]) if spec.shape else ()) for spec in self._example
        )

    def _open_exported(self, file: Path) -> tuple[TensorSpec, ...]:
        self.kind = "pytorch_export"
        program = torch.export.load(file)
        values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
        inputs = tuple(_exported(name, values.get(name)) for name in program.graph_signature.user_inputs)
        if not inputs:
            raise ModelError(f"the program in {file} takes no input: nothing to serve")
        structure = program.call_spec.in_spec
        module = program.module()

        def call(tensors: list[Any]) -> Any:
            positional, named = torch.utils._pytree.tree_unflatten(tensors, structure)
            return module(*positional, **named)

        self._call = call
        return inputs

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        del outputs  # the module computes all
        return self._run(inputs)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs. Raises InferenceError for what the model itself refuses."""
        try:
            with torch.inference_mode():
                answer = self._call([torch.from_numpy(inputs[name]) for name in self._order])
        except _FAILURES as error:
            raise InferenceError(f"the model refuses this input: {_reason(error)}") from error
        return {name: _array(name, tensor) for name, tensor in _named(answer)}


def _said_inputs(
    file: Path, names: list[str], parameters: Mapping[str, str]
) -> tuple[TensorSpec, ...] | None:
    """The inputs by the parameter, the archive's own metadata, or a file beside it; in forward's order."""
    specs = None
    if "inputs" not in parameters:
        with zipfile.ZipFile(file) as archive:
            extra = [entry for entry in archive.namelist() if entry.endswith(f"/extra/{METADATA}")]
            if extra:
                specs = from_metadata(archive.read(extra[0]), f"{file.name}: {extra[0]}")
    specs = specs or declared_inputs(file, parameters)
    if specs is None:
        return None
    said = [spec.name for spec in specs]
    if sorted(said) != sorted(names):
        raise ModelError(f"the inputs are said to be {', '.join(said)}, but forward takes {', '.join(names)}")
    by_name = {spec.name: spec for spec in specs}
    return tuple(by_name[name] for name in names)


def _exported(name: str, value: Any) -> TensorSpec:
    if value is None or getattr(value, "dtype", None) not in _DATATYPES:
        raise ModelError(f'the input "{name}" has no form as a V2 tensor: {value!r:.80}')
    return TensorSpec(name, _DATATYPES[value.dtype], tuple(s if type(s) is int else -1 for s in value.shape))


def _named(answer: Any) -> list[tuple[str, Any]]:
    """The tensors of an answer by name: keys of a dict, or "output", or "output_0" and on."""
    if isinstance(answer, dict):
        return [(str(key), value) for key, value in answer.items()]
    if isinstance(answer, tuple | list):
        fields = getattr(answer, "_fields", None) or [f"output_{index}" for index in range(len(answer))]
        return list(zip(fields, answer, strict=True))
    return [("output", answer)]


def _array(name: str, tensor: Any) -> Array:
    if not isinstance(tensor, torch.Tensor):
        if isinstance(tensor, bool | int | float):
            return np.asarray(tensor)
        raise InferenceError(
            f'the output "{name}" is a {type(tensor).__name__}, for which V2 tensors have no form'
        )
    if tensor.dtype not in _DATATYPES:
        if not tensor.dtype.is_floating_point:
            raise InferenceError(
                f'the output "{name}" is of the type {tensor.dtype}, which V2 tensors do not have'
            )
        tensor = tensor.float()
    return tensor.detach().cpu().resolve_conj().numpy()


def _reason(error: Exception) -> str:
    """The line of PyTorch's words that says what is wrong: the last, after a trace through TorchScript."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if "TorchScript" in lines[0] else lines[0]
