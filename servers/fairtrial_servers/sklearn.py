"""scikit-learn models, served by MLServer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from mlserver.errors import InferenceError
from mlserver.types import RequestInput

from fairtrial_servers.errors import InputError
from fairtrial_servers.estimators import Estimator
from fairtrial_servers.runtime import Runtime, check_rows, decode_named
from fairtrial_servers.tensor_specs import Array, TensorSpec
from fairtrial_servers.tensors import decode


class SKLearnRuntime(Estimator, Runtime):
    """Serves one fitted estimator or pipeline; its parameters are those of `Estimator`."""

    platform: ClassVar[str] = "sklearn"

    def decode_inputs(self, tensors: Sequence[RequestInput]) -> dict[str, Array]:
        inputs = self._inputs
        if inputs.matrix is not None and (len(tensors) == 1 or inputs.columns is None):
            if len(tensors) != 1:
                raise InferenceError(f'expected one input, "{inputs.matrix.name}", got {len(tensors)}')
            if inputs.matrix.shape == (-1, 1) and len(tensors[0].shape) == 1:
                column = replace(inputs.matrix, shape=(-1,))
                values = decode(tensors[0], column, missing=inputs.missing)
                return {inputs.matrix.name: values.reshape(-1, 1)}
            return {inputs.matrix.name: decode(tensors[0], inputs.matrix, missing=inputs.missing)}
        columns = [TensorSpec(column.name, column.datatype, (-1,)) for column in inputs.columns or ()]
        if inputs.unused:
            tensors = [tensor for tensor in tensors if tensor.name not in inputs.unused]
        arrays = decode_named(tensors, columns, missing=inputs.missing)
        check_rows(arrays)
        return arrays

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        try:
            return super().infer(inputs, outputs)
        except InputError as error:
            raise InferenceError(str(error)) from error
