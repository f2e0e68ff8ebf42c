"""TensorFlow models: SavedModel folders and frozen graphs (.pb), run by TensorFlow on the CPU."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mlserver.errors import InferenceError

from fairtrial_servers.declared import FORM, declared_inputs
from fairtrial_servers.errors import ModelError
from fairtrial_servers.formats import TENSORFLOW_SUFFIXES, one_file
from fairtrial_servers.models import Signature
from fairtrial_servers.safety.saved_models import SAVED_MODEL, check_frozen_graph, check_saved_model
from fairtrial_servers.tensor_runtime import TensorRuntime, made_up, observed_outputs, parse_threads, reason
from fairtrial_servers.tensor_specs import NUMPY, Array, TensorSpec

# Its own log is C++'s, on stderr: errors only, for what it raises is reported by us.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # the same numbers on every machine
tf: Any = importlib.import_module("tensorflow")  # its own annotations are not strict

_DATATYPES = {
    tf.dtypes.as_dtype("string" if name == "BYTES" else dtype): name for name, dtype in NUMPY.items()
}
_FAILURES = (tf.errors.OpError, ValueError, TypeError, LookupError, RuntimeError, AttributeError)
#: Placeholders that a frozen graph has no value for are its inputs.
_VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable", "ReadVariableOp"})
_NO_OUTPUTS = frozenset({"Const", "Placeholder", "NoOp", "Assert", "Print", "PrintV2"})


class TensorFlowRuntime(TensorRuntime):
    """Serves one signature of a SavedModel, or a frozen graph; a request that names no output is given all.

    Parameters of the graph node: `threads` (of one prediction; default 1), `signature` (of a SavedModel;
    default serving_default, or the only one), `outputs` (of a frozen graph: names separated by commas;
    default all that nothing else in the graph takes in), `inputs` (see declared.py; where the model leaves
    the number of axes open).
    """

    platform: ClassVar[str] = "tensorflow_savedmodel"

    _call: Callable[[Mapping[str, Any]], Mapping[str, Any]]

    def open(self, path: Path, parameters: Mapping[str, str]) -> Signature:
        threads = parse_threads(parameters)
        folder = path.parent if path.name == SAVED_MODEL else path
        saved = (folder / SAVED_MODEL).is_file()
        file = folder if saved else one_file(path, TENSORFLOW_SUFFIXES)
        tags = check_saved_model(folder) if saved else check_frozen_graph(file)
        set_threads(threads)
        try:
            if tags is not None:
                function = self._open_saved(file, tags, parameters)
            else:
                function = self._open_frozen(file, parameters)
        except _FAILURES as error:
            raise ModelError(f"TensorFlow cannot load {file}: {reason(error)}") from error
        inputs, stated = function
        said = {spec.name: spec for spec in declared_inputs(file, parameters) or ()}
        unknown = [name for name in said if name not in inputs]
        if unknown:
            raise ModelError(
                f"the inputs are said to be {', '.join(said)}, but the model takes {', '.join(inputs)}"
            )
        specs = tuple(said.get(name) or _spec(name, spec, "input") for name, spec in inputs.items())
        outputs = [_output(name, spec) for name, spec in stated.items()]
        if any(spec is None for spec in outputs):
            outputs = observed_outputs(self._run, specs)
        else:
            self._run({spec.name: made_up(spec) for spec in specs})
        known = tuple(spec for spec in outputs if spec is not None)
        return Signature(specs, known, tuple(spec.name for spec in known))

    def _open_saved(
        self, folder: Path, tags: list[tuple[str, ...]], parameters: Mapping[str, str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        chosen = next((each for each in tags if each == ("serve",)), tags[0])
        loaded = tf.saved_model.load(str(folder), tags=list(chosen))
        names = list(loaded.signatures)
        wanted = parameters.get("signature", "serving_default" if "serving_default" in names else None)
        if wanted is None and len(names) == 1:
            wanted = names[0]
        if wanted not in names:
            have = f"has the signatures {', '.join(names)}" if names else "has no signature"
            ask = (
                f"; the parameter signature says {wanted!r}"
                if wanted
                else ": name one by the parameter signature"
            )
            raise ModelError(f"the SavedModel {folder} {have}{ask if names else ': save it with one'}")
        function = loaded.signatures[wanted]
        self._loaded = loaded  # its variables live as long as it does
        self._call = lambda tensors: function(**tensors)
        return dict(function.structured_input_signature[1]), dict(function.structured_outputs)

    def _open_frozen(
        self, file: Path, parameters: Mapping[str, str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        self.kind = "tensorflow_graphdef"
        graph_def = tf.compat.v1.GraphDef()
        graph_def.ParseFromString(file.read_bytes())
        held = sorted({node.op for node in graph_def.node} & _VARIABLES)
        if held:
            raise ModelError(
                f"{file} is not frozen: it has variables ({held[0]}) whose values are not in it; "
                f"freeze it, or save a SavedModel"
            )
        wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph_def, name=""), [])
        graph = wrapped.graph
        inputs = {node.name: graph.get_tensor_by_name(f"{node.name}:0") for node in graph_def.node
                  if node.op == "Placeholder"}  # fmt: skip
        outputs = _frozen_outputs(graph, graph_def, parameters, file)
        if not inputs or not outputs:
            raise ModelError(
                f"{file} has no {'output' if inputs else 'Placeholder for an input'}: nothing to serve"
            )
        pruned = wrapped.prune(list(inputs.values()), list(outputs.values()))
        order, names = list(inputs), list(outputs)
        self._call = lambda tensors: dict(zip(names, pruned(*[tensors[name] for name in order]), strict=True))
        return dict(inputs), dict(outputs)

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        del outputs  # the function computes all
        return self._run(inputs)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs. Raises InferenceError for what the model itself refuses."""
        try:
            answers = self._call({name: tf.constant(array) for name, array in inputs.items()})
            return {name: _array(tensor) for name, tensor in answers.items()}
        except _FAILURES as error:
            raise InferenceError(f"the model refuses this input: {reason(error)}") from error


def _frozen_outputs(graph: Any, graph_def: Any, parameters: Mapping[str, str], file: Path) -> dict[str, Any]:
    said = parameters.get("outputs")
    if said is None:
        taken = {name.removeprefix("^").partition(":")[0] for node in graph_def.node for name in node.input}
        names = [
            node.name for node in graph_def.node if node.name not in taken and node.op not in _NO_OUTPUTS
        ]
    else:
        names = [name.strip() for name in said.split(",") if name.strip()]
    outputs: dict[str, Any] = {}
    for name in names:
        try:
            outputs[name] = graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
        except (KeyError, ValueError):
            if said is not None:
                raise ModelError(
                    f"the parameter outputs names {name!r}, which {file} does not have"
                ) from None
    return outputs


def set_threads(threads: int) -> None:
    """Of TensorFlow, for the whole process; nothing once it runs."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # TensorFlow runs already, as in a test with several models in one process


def _spec(name: str, spec: Any, what: str) -> TensorSpec:
    dtype = getattr(spec, "dtype", None)
    if dtype not in _DATATYPES:
        raise ModelError(f'the {what} "{name}" is a {dtype or spec!r}, for which V2 tensors have no form')
    if spec.shape.rank is None:
        raise ModelError(
            f'the {what} "{name}" leaves the number of its axes open: say it by the parameter {FORM}'
        )
    return TensorSpec(name, _DATATYPES[dtype], tuple(-1 if size is None else size for size in spec.shape))


def _output(name: str, spec: Any) -> TensorSpec | None:
    """As stated; None where it has to be seen."""
    if getattr(spec, "dtype", None) not in _DATATYPES or spec.shape.rank is None:
        return None
    return _spec(name, spec, "output")


def _array(tensor: Any) -> Array:
    array = tensor.numpy()
    return array.astype("float32") if array.dtype.name == "bfloat16" else array
