"""PMML models, run by pmml4s on a Java VM inside the server."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mlserver.errors import InferenceError
from mlserver.types import RequestInput

from fairtrial_servers.errors import ModelError
from fairtrial_servers.formats import PMML_SUFFIXES, one_file
from fairtrial_servers.jvm.columns import decode_columns
from fairtrial_servers.jvm.machine import reason, start
from fairtrial_servers.models import Signature
from fairtrial_servers.runtime import Runtime
from fairtrial_servers.safety.pmml_files import read_pmml
from fairtrial_servers.tensor_specs import NUMPY, Array, TensorSpec

logger = logging.getLogger("fairtrial.servers")

_DATATYPES = {
    "string": "BYTES", "integer": "INT64", "boolean": "BOOL",
    "float": "FP32", "double": "FP64", "real": "FP64",
    # As PMML writes them: 2026-01-31, 23:59:59, 2026-01-31T23:59:59.
    "date": "BYTES", "time": "BYTES", "dateTime": "BYTES",
}  # fmt: skip


class PmmlRuntime(Runtime):
    """Serves one PMML model: a tensor for each active field of its mining schema, one for each output field.

    What a missing or an invalid value means is the model's to say; where it has no answer the request is
    refused. Parameter of the graph node: `heap` (machine.py).
    """

    platform: ClassVar[str] = "pmml"

    _jpype: Any
    _model: Any
    _fields: dict[str, Any]
    _inputs: dict[str, TensorSpec]
    _outputs: dict[str, TensorSpec]
    _answer: str

    def open(self, path: Path, parameters: Mapping[str, str]) -> Signature:
        file = one_file(path, PMML_SUFFIXES)
        text = read_pmml(file)
        self._jpype = jpype = start(_jars(), parameters)
        self._new_row = jpype.JClass("java.util.HashMap")
        try:
            self._model = jpype.JClass("org.pmml4s.model.Model").fromString(text)
            fields = list(self._model.inputFields())
            outputs = list(self._model.outputFields())
            # The prediction first, whatever else the model lists before it.
            outputs.sort(key=lambda field: str(field.feature()) != "predictedValue")
        except jpype.JException as error:
            raise ModelError(f"pmml4s cannot load {file}: {reason(error)}") from None
        self._fields = {str(field.name()): field for field in fields}
        self._inputs = {name: _spec(field, "input") for name, field in self._fields.items()}
        self._outputs = {str(field.name()): _spec(field, "output") for field in outputs}
        if not self._outputs:
            raise ModelError(f"{file} has no output fields and no target: it answers nothing")
        self._answer = next(iter(self._outputs))
        self._warm_up()
        return Signature(tuple(self._inputs.values()), tuple(self._outputs.values()), tuple(self._outputs))

    def decode_inputs(self, tensors: Sequence[RequestInput]) -> dict[str, Array]:
        return decode_columns(tensors, self._signature.inputs, self._inputs)

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        found: dict[str, list[Any]] = {name: [] for name in outputs}
        names, columns = list(inputs), [column.tolist() for column in inputs.values()]
        for index, values in enumerate(zip(*columns, strict=True)):
            row = self._new_row()
            for name, value in zip(names, values, strict=True):
                # pmml4s takes a null for a very small number where the field is an integer; what is not there
                # is missing.
                if value is not None:
                    row.put(name, value)
            try:
                answer = self._model.predict(row)
            except self._jpype.JException as error:
                raise InferenceError(
                    f"the model refuses row {index} of this input: {reason(error)}"
                ) from None
            value = answer.get(self._answer)
            if value is None or value != value:  # noqa: PLR0124 - NaN
                raise InferenceError(self._no_answer(index, dict(zip(names, values, strict=True))))
            for name in outputs:
                found[name].append(answer.get(name))
        return {name: self._column(name, values) for name, values in found.items()}

    def _column(self, name: str, values: Sequence[Any]) -> Array:
        dtype = NUMPY[self._outputs[name].datatype]
        if dtype.kind in "biu" and None in values:
            raise InferenceError(f'the model has no "{name}" for row {values.index(None)} of this input')
        if dtype.kind == "O":
            values = ["" if value is None else str(value) for value in values]
        return np.array(values, dtype=dtype)

    def _no_answer(self, index: int, row: Mapping[str, Any]) -> str:
        missing = [name for name, value in row.items() if value is None]
        invalid = [
            f"{name} = {value!r}"
            for name, value in row.items()
            if value is not None and self._fields[name].isInvalidValue(value)
        ]
        why = [f"missing: {', '.join(missing)}"] * bool(missing) + [
            f"not among the values that the model knows: {', '.join(invalid)}"
        ] * bool(invalid)
        return f"the model has no answer for row {index} of this input" + (
            f" ({'; '.join(why)})" if why else ""
        )

    def _warm_up(self) -> None:
        made_up = {name: _made_up(self._fields[name], spec) for name, spec in self._inputs.items()}
        try:
            self.infer(made_up, list(self._outputs))
        except InferenceError as error:
            logger.info("no warm-up: %s", error)


def _jars() -> list[Path]:
    found = importlib.util.find_spec("pypmml")
    homes = found.submodule_search_locations if found else None
    jars = sorted((Path(homes[0]) / "jars").glob("*.jar")) if homes else []
    if not any(jar.name.startswith("pmml4s") for jar in jars):
        raise ModelError('the JARs of pmml4s are not there: pip install --force-reinstall "pypmml"')
    return jars


def _spec(field: Any, what: str) -> TensorSpec:
    kind = str(field.dataType().toString())
    if kind not in _DATATYPES:
        raise ModelError(f'the {what} "{field.name()}" is a {kind}, for which V2 tensors have no form')
    return TensorSpec(str(field.name()), _DATATYPES[kind], (-1,))


def _made_up(field: Any, spec: TensorSpec) -> Array:
    known = [value.toVal() for value in field.validValues()]
    fillers: dict[str, Any] = {"BYTES": "", "BOOL": False, "INT64": 0}
    array = np.empty(1, dtype=object)
    array[0] = known[0] if known else fillers.get(spec.datatype, 0.0)
    return array
