"""MLflow model folders: what is inside is loaded by our own runtimes, under the names of its signature.

MLflow itself would load the folder with `loader_module` and whatever `code` it brings along. Here the file
that MLmodel names goes through the same checks as one that is served alone, and no MLflow is needed.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import yaml
from mlserver.settings import ModelSettings
from mlserver.types import RequestInput

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.formats import FORMATS, MLMODEL
from fairtrial_servers.models import Signature, TableInputs
from fairtrial_servers.runtime import Runtime
from fairtrial_servers.tensor_specs import Array, TensorSpec

#: Flavour -> the keys in it of which one names the model's file or folder.
_FILES = {
    "sklearn": ("pickled_model",),
    "onnx": ("data",),
    "pytorch": ("model_data",),
    "tensorflow": ("saved_model_dir", "data"),
    "keras": ("data",),
}

_DATATYPES = {"double": "FP64", "float": "FP32", "long": "INT64", "integer": "INT32", "boolean": "BOOL",
              "string": "BYTES"}  # fmt: skip


class MLflowRuntime(Runtime):
    """Serves a folder that MLflow saved with its scikit-learn, ONNX, PyTorch, TensorFlow or Keras flavour.

    Parameters of the graph node: those of the runtime of what is inside.
    """

    platform: ClassVar[str] = "mlflow"

    _inside: Runtime

    def open(self, path: Path, parameters: Mapping[str, str]) -> Signature:
        description = read_mlmodel(path)
        flavour, file = _model_file(path, description)
        columns = _columns(description)
        if flavour == "sklearn":
            from fairtrial_servers.sklearn import SKLearnRuntime

            estimator = self._inside = SKLearnRuntime(self.settings)
            signature = estimator.prepare(file, parameters)
            if columns:
                estimator.name_columns([column.name for column in columns])
        else:
            self._inside = _tensor_runtime(flavour, file)(self.settings)
            signature = self._inside.prepare(file, parameters)
            columns = ()  # the graph has names of its own, which MLflow goes by as well
        return Signature(columns or signature.inputs, signature.outputs, signature.defaults)

    def decode_inputs(self, tensors: Sequence[RequestInput]) -> dict[str, Array]:
        return self._inside.decode_inputs(tensors)

    def has_independent_rows(self) -> bool:
        return self._inside.has_independent_rows()

    def table_inputs(self) -> TableInputs:
        return self._inside.table_inputs()

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        return self._inside.infer(inputs, outputs)


def read_mlmodel(folder: Path) -> dict[str, Any]:
    """What the MLmodel file in `folder` says. Raises ModelError."""
    file = folder / MLMODEL
    try:
        said = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{file} is damaged: {str(error).splitlines()[0]}") from None
    if not isinstance(said, dict) or not isinstance(said.get("flavors"), dict):
        raise ModelError(f"{file} is no description of an MLflow model: it names no flavors")
    return cast("dict[str, Any]", said)


def _model_file(folder: Path, description: dict[str, Any]) -> tuple[str, Path]:
    """The flavour that is served, and its file."""
    flavours: dict[str, Any] = description["flavors"]
    flavour = next((name for name in _FILES if name in flavours), None)
    if flavour is None:
        raise ModelError(
            f"{folder / MLMODEL} has the flavors {', '.join(sorted(map(str, flavours)))}; served are "
            f"{', '.join(_FILES)}. The stock runtime mlserver_mlflow.MLflowRuntime, as `implementation`, "
            f"loads any, and runs the code that comes with it"
        )
    details = flavours[flavour]
    found = [details.get(key) for key in _FILES[flavour]] if isinstance(details, dict) else []
    named = next((each for each in found if each is not None), None)
    if not isinstance(named, str) or not named or "\0" in named:
        keys = " or ".join(_FILES[flavour])
        raise ModelError(f"{folder / MLMODEL}: the flavor {flavour} names no file as {keys}")
    file = folder / named
    if not file.resolve().is_relative_to(folder.resolve()):
        raise UnsafeModelError(f"{folder / MLMODEL} names {named!r}, which is outside the model's folder")
    if file.is_dir() and flavour not in ("sklearn", "onnx"):
        # A folder with the model in it, or with another one that is the model.
        inner = file / "model"
        return flavour, inner if inner.is_dir() and not inner.is_symlink() else file
    if not file.is_file():
        raise ModelError(f"{folder / MLMODEL} names {named!r}, which is not there")
    return flavour, file


def _tensor_runtime(flavour: str, file: Path) -> Callable[[ModelSettings], Runtime]:
    """The runtime of what is inside. Raises ModelError where its library is not installed."""
    names = ("onnx",) if flavour == "onnx" else ("pytorch", "tensorflow", "keras")
    known = next((each for each in FORMATS if each.name in names and each.detects(file)), None)
    if known is None:
        raise ModelError(
            f"{file}, which {MLMODEL} names for the flavor {flavour}, holds no model that is served"
        )
    module, _, name = known.implementation.rpartition(".")
    for needed in known.needs:
        if importlib.util.find_spec(needed) is None:
            raise ModelError(
                f"the model in {file} is served by {needed}, which is not installed: "
                f'pip install "fairtrial-servers[{known.name}]"'
            )
    return getattr(importlib.import_module(module), name)


def _columns(description: dict[str, Any]) -> tuple[TensorSpec, ...]:
    """The columns of the signature, one tensor each; none where it has a tensor or says nothing."""
    signature = description.get("signature")
    said = signature.get("inputs") if isinstance(signature, dict) else None
    if said is None:
        return ()
    try:
        inputs = json.loads(said)
        if not all("name" in each for each in inputs) or any(each["type"] == "tensor" for each in inputs):
            return ()
        return tuple(TensorSpec(str(each["name"]), _DATATYPES[each["type"]], (-1,)) for each in inputs)
    except KeyError as error:
        raise ModelError(f"{MLMODEL}: the signature's type {error} has no V2 datatype") from None
    except (ValueError, TypeError) as error:
        raise ModelError(f"{MLMODEL}: the signature cannot be read: {str(error).splitlines()[0]}") from None
