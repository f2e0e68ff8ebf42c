"""Keras models: .keras and .h5 files, run by Keras on TensorFlow, or without it on JAX or PyTorch."""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mlserver.errors import InferenceError

from fairtrial_servers.errors import ModelError
from fairtrial_servers.formats import KERAS_SUFFIXES, one_file
from fairtrial_servers.models import Signature
from fairtrial_servers.safety.keras_files import check_keras
from fairtrial_servers.tensor_runtime import TensorRuntime, made_up, observed_outputs, parse_threads, reason
from fairtrial_servers.tensor_specs import NUMPY, Array, TensorSpec

#: By the name of their module, in the order of preference. On numpy, Keras 3 asks for JAX all the same.
_BACKENDS = ("tensorflow", "jax", "torch")


class KerasRuntime(TensorRuntime):
    """Serves one model of Keras' own layers; a request that names no output is given all.

    Parameters of the graph node: `threads` (of one prediction; default 1), `backend` (tensorflow, jax or
    torch; default the first of these that is installed).
    """

    platform: ClassVar[str] = "keras"

    _call: Callable[[dict[str, Array]], Any]
    _output_names: tuple[str, ...]

    def open(self, path: Path, parameters: Mapping[str, str]) -> Signature:
        file = one_file(path, KERAS_SUFFIXES)
        check_keras(file)
        threads = parse_threads(parameters)
        backend = _backend(parameters)
        keras = _import(backend, threads)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = keras.saving.load_model(file, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises whatever its layers do
            raise ModelError(f"Keras cannot load {file}: {reason(error)}") from error
        if not getattr(model, "inputs", None):
            raise ModelError(
                f"the model in {file} has no inputs of known shape: build it, by a call or by keras.Input, "
                f"and save it again"
            )
        inputs = tuple(_spec(each) for each in model.inputs)
        self._output_names = _output_names(model)
        self._call = _compiled(model, backend, [spec.name for spec in inputs])
        outputs = observed_outputs(self._run, inputs)
        self._run({spec.name: made_up(spec) for spec in inputs})  # JAX compiles for each number of rows
        return Signature(inputs, outputs, tuple(spec.name for spec in outputs))

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        del outputs  # the model computes all
        return self._run(inputs)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs. Raises InferenceError for what the model itself refuses."""
        try:
            answers = self._call(dict(inputs))
        except Exception as error:  # backends raise whatever they do
            raise InferenceError(f"the model refuses this input: {reason(error)}") from error
        return dict(zip(self._output_names, map(_array, answers), strict=True))


def _backend(parameters: Mapping[str, str]) -> str:
    asked = parameters.get("backend") or os.environ.get("KERAS_BACKEND")
    if asked is not None and asked not in _BACKENDS:
        raise ModelError(f"the parameter backend is one of {', '.join(_BACKENDS)}, not {asked!r}")
    for name in (asked,) if asked else _BACKENDS:
        if importlib.util.find_spec(name) is not None:
            return name
    raise ModelError(
        f"Keras computes by {asked or 'TensorFlow, JAX or PyTorch'}, which is not installed: "
        f'pip install "fairtrial-servers[tensorflow]", or jax'
    )


def _import(backend: str, threads: int) -> Any:
    """Keras on `backend`, which it chooses once for the process."""
    os.environ["KERAS_BACKEND"] = backend
    if backend == "tensorflow":
        from fairtrial_servers.tensorflow import set_threads

        set_threads(threads)
    elif backend == "torch":
        importlib.import_module("torch").set_num_threads(threads)
    elif backend == "jax":
        flags = os.environ.get("XLA_FLAGS", "")
        if threads == 1 and "xla_cpu_multi_thread_eigen" not in flags:
            os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    keras: Any = importlib.import_module("keras")
    if keras.backend.backend() != backend:
        raise ModelError(f"Keras runs on {keras.backend.backend()} in this process already, not on {backend}")
    return keras


def _compiled(model: Any, backend: str, names: list[str]) -> Callable[[dict[str, Array]], list[Any]]:
    """A call of the model on arrays by input name, which gives its outputs in their order."""
    keras: Any = importlib.import_module("keras")
    # The structure that the model was made with: one tensor, a list, or a dict of them.
    structure = _structures(model)[0]
    order = [_name(tensor) for tensor in keras.tree.flatten(structure)]

    def arranged(tensors: Mapping[str, Any]) -> Any:
        return keras.tree.pack_sequence_as(structure, [tensors[name] for name in order])

    if backend == "tensorflow":
        tf: Any = importlib.import_module("tensorflow")
        signature = {name: tf.TensorSpec(each.shape, each.dtype, name=f"input_{index}")
                     for index, (name, each) in enumerate(zip(names, model.inputs, strict=True))}  # fmt: skip

        def graph(tensors: Any) -> Any:
            return keras.tree.flatten(model(arranged(tensors), training=False))

        function = tf.function(graph, autograph=False).get_concrete_function(signature)
        return lambda arrays: function({name: tf.constant(array) for name, array in arrays.items()})
    if backend == "jax":
        jax: Any = importlib.import_module("jax")
        trained = [variable.value for variable in model.trainable_variables]
        others = [variable.value for variable in model.non_trainable_variables]

        def stateless(tensors: Any) -> Any:
            return keras.tree.flatten(
                model.stateless_call(trained, others, arranged(tensors), training=False)[0]
            )

        return jax.jit(stateless)

    def eager(arrays: dict[str, Array]) -> Any:
        return keras.tree.flatten(model(arranged(arrays), training=False))

    if backend == "torch":
        inference: Any = importlib.import_module("torch").inference_mode()
        return inference(eager)
    return eager


def _structures(model: Any) -> tuple[Any, Any]:
    """What the model takes and gives: a tensor, or a list or dict of them."""
    keras: Any = importlib.import_module("keras")
    if isinstance(model, keras.Sequential):
        return model.inputs[0], model.outputs[0]
    return model.input, model.output


def _output_names(model: Any) -> tuple[str, ...]:
    """Keys where the model gives a dict, or the names of the layers that the outputs come from."""
    keras: Any = importlib.import_module("keras")
    given = _structures(model)[1]
    if isinstance(given, dict):
        return tuple(sorted(given))
    flat = keras.tree.flatten(given)
    names = [_name(tensor) for tensor in flat]
    if len(set(names)) != len(names):
        names = [f"output_{index}" for index in range(len(flat))]
    return tuple(names)


def _name(tensor: Any) -> str:
    """Of the layer that made it: tensors themselves are numbered anew by each process."""
    history = getattr(tensor, "_keras_history", None)
    return str(history.operation.name if history else tensor.name)


def _spec(tensor: Any) -> TensorSpec:
    dtype = str(tensor.dtype)
    datatype = next((name for name, known in NUMPY.items() if known.name == dtype), None)
    datatype = "BYTES" if dtype == "string" else "BOOL" if dtype == "bool" else datatype
    if datatype is None or getattr(tensor, "sparse", False):
        kind = "sparse" if datatype else dtype
        raise ModelError(f'the input "{_name(tensor)}" is {kind}, for which V2 tensors have no form')
    return TensorSpec(_name(tensor), datatype, tuple(-1 if size is None else size for size in tensor.shape))


def _array(tensor: Any) -> Array:
    array = tensor.numpy() if hasattr(tensor, "numpy") else np.asarray(tensor)
    return array.astype("float32") if array.dtype.name == "bfloat16" else array
