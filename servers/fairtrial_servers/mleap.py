"""Spark ML pipelines, exported as MLeap bundles (a .zip, or the folder it unpacks to), run without Spark."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mlserver.errors import InferenceError
from mlserver.types import RequestInput

from fairtrial_servers.errors import ModelError
from fairtrial_servers.formats import MLEAP_BUNDLE, MLEAP_SUFFIXES, one_file
from fairtrial_servers.jvm.columns import decode_columns
from fairtrial_servers.jvm.jars import provide
from fairtrial_servers.jvm.machine import quiet, reason, start
from fairtrial_servers.models import Signature
from fairtrial_servers.runtime import Runtime
from fairtrial_servers.safety.mleap_bundles import checked_bundle
from fairtrial_servers.tensor_specs import NUMPY, Array, TensorSpec

logger = logging.getLogger("fairtrial.servers")


class MleapRuntime(Runtime):
    """Serves one pipeline, a tensor for each column that it reads.

    Its outputs are all columns that its stages make; given by default are those that no later stage reads:
    the prediction, and what comes with it. Parameter of the graph node: `heap` (machine.py).
    """

    platform: ClassVar[str] = "mleap"

    _jpype: Any
    _pipeline: Any
    _outputs: dict[str, TensorSpec]
    _may_miss: frozenset[str]
    _loggers: list[Any]

    def open(self, path: Path, parameters: Mapping[str, str]) -> Signature:
        bundle = path if (path / MLEAP_BUNDLE).is_file() else one_file(path, MLEAP_SUFFIXES)
        with checked_bundle(bundle) as folder:
            self._jpype = start(provide("mleap"), parameters)
            # It says on stderr that the VM has no native linear algebra, which is as it should be.
            self._loggers = quiet("dev.ludovic.netlib")
            from fairtrial_servers.jvm.leap import LeapPipeline

            try:
                self._pipeline = LeapPipeline(folder)
            except self._jpype.JException as error:
                raise ModelError(f"MLeap cannot load {bundle}: {reason(error)}") from None
        inputs = tuple(_input(name, field) for name, field in self._pipeline.inputs.items())
        self._may_miss = frozenset(
            name
            for name, field in self._pipeline.inputs.items()
            if field.nullable and field.shape == "scalar"
        )
        self._outputs = {name: field.spec for name, field in self._pipeline.outputs.items()}
        defaults = self._pipeline.last()
        if not defaults:
            raise ModelError(f"{bundle} makes no column that V2 tensors have a form for: not served")
        self._warm_up(inputs)
        return Signature(inputs, tuple(self._outputs.values()), tuple(defaults))

    def decode_inputs(self, tensors: Sequence[RequestInput]) -> dict[str, Array]:
        return decode_columns(tensors, self._signature.inputs, self._may_miss)

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        answers: list[list[Any]] = []
        try:
            answers.extend(self._pipeline.transform(inputs, outputs))
        except self._jpype.JException as error:
            raise InferenceError(_refusal(error, inputs, len(answers))) from None
        return {
            name: _column([answer[index] for answer in answers], self._outputs[name])
            for index, name in enumerate(outputs)
        }

    def _warm_up(self, inputs: Sequence[TensorSpec]) -> None:
        """Predict once, and take over the outputs' sizes, which MLeap's schema does not always state."""
        labels = self._pipeline.examples()
        made_up = {spec.name: _made_up(spec, labels.get(spec.name, "")) for spec in inputs}
        try:
            for name, array in self.infer(made_up, list(self._outputs)).items():
                spec = self._outputs[name]
                self._outputs[name] = TensorSpec(spec.name, spec.datatype, (-1, *array.shape[1:]))
        except InferenceError as error:
            logger.info("no warm-up: %s", error)


def _input(name: str, field: Any) -> TensorSpec:
    if field is None:
        raise ModelError(f'the input "{name}" is of a type that V2 tensors have no form for: not served')
    return field.spec


def _made_up(spec: TensorSpec, label: str) -> Array:
    shape = [max(size, 1) for size in spec.shape]
    return np.full(shape, label if spec.datatype == "BYTES" else 0, dtype=NUMPY[spec.datatype])


def _column(values: list[Any], spec: TensorSpec) -> Array:
    """[n] or [n, ...] of one value for each row. Raises InferenceError where one has none."""
    dtype = NUMPY[spec.datatype]
    if any(value is None for value in values) and dtype.kind != "f":
        row = next(index for index, value in enumerate(values) if value is None)
        raise InferenceError(f'the model has no "{spec.name}" for row {row} of this input')
    if spec.shape == (-1,):
        return np.array(values, dtype=dtype)
    shapes = {value.shape for value in values if value is not None}
    if len(shapes) > 1 or any(value is None for value in values):
        raise InferenceError(f'the output "{spec.name}" differs in size from row to row: ask for one row')
    return values[0][np.newaxis] if len(values) == 1 else np.stack(values)


def _refusal(error: Any, inputs: Mapping[str, Array], row: int) -> str:
    """MLeap's objection in one line; where it objects to a missing value in code only, which one."""
    missing = [name for name, column in inputs.items() if column.dtype == object and column[row] is None]
    if missing and error.getClass().getSimpleName() in ("MatchError", "NullPointerException"):
        return f"the model takes no missing value, and row {row} has none of {', '.join(missing)}"
    return f"the model refuses row {row} of this input: {reason(error)}"
