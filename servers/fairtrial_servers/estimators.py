"""scikit-learn models: .joblib, .pkl, .pickle and .skops files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fairtrial_servers.errors import InputError, ModelError
from fairtrial_servers.formats import SKLEARN_SUFFIXES, one_file
from fairtrial_servers.models import Model, Signature, TableInputs, parse_trusted
from fairtrial_servers.safety.pickles import load_pickle
from fairtrial_servers.sklearn_inputs import Inputs, inputs_of, walk
from fairtrial_servers.tensor_specs import Array, TensorSpec, datatype_of

logger = logging.getLogger("fairtrial.servers")

#: What can be asked for as outputs, as in MLServer's own runtime; the first that exists is the default.
METHODS = ("predict", "predict_proba", "transform")


class Estimator(Model):
    """One fitted estimator or pipeline.

    Parameters of the graph node: `trusted` (modules of your own whose classes the file may refer to,
    separated by commas), `predict_fn` (the output given when a request names none; default `predict`).
    """

    _estimator: Any
    _inputs: Inputs

    def open(self, path: Path, parameters: Mapping[str, str]) -> Signature:
        self._estimator = load_estimator(path, parse_trusted(parameters))
        for part in walk(self._estimator):
            if getattr(part, "n_jobs", None) is not None:
                # Workers cost a one-row prediction more than they save, and arms share the machine.
                part.n_jobs = 1
        # A matrix is matched to the columns by position, as the metadata says.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        self._inputs = inputs_of(self._estimator)
        methods = [name for name in METHODS if callable(getattr(self._estimator, name, None))]
        outputs = tuple(spec for name in methods if (spec := self._output(name)) is not None)
        names = [spec.name for spec in outputs]
        if not names:
            raise ModelError(
                f"a {type(self._estimator).__name__} answers with no table of two axes: not served"
            )
        default = parameters.get("predict_fn", names[0])
        if default not in names:
            raise ModelError(
                f'the parameter "predict_fn" says {default!r}; this model gives {", ".join(names)}'
            )
        return Signature(self._inputs.specs, outputs, (default,))

    def name_columns(self, names: Sequence[str]) -> None:
        """Have the features of an estimator that was fitted without names called what a signature says.

        Raises ModelError if there are more or fewer of them, or the estimator knows them by other names.
        """
        columns = self._inputs.columns
        if columns is None:
            return
        known = getattr(self._estimator, "feature_names_in_", None)
        if known is not None:
            if set(map(str, known)) != set(names):
                raise ModelError(
                    f"the signature has the columns {', '.join(names)}, "
                    f"the model was fitted on {', '.join(map(str, known))}"
                )
            return
        if len(columns) != len(names):
            raise ModelError(f"the signature has {len(names)} columns, the model takes {len(columns)}")
        renamed = tuple(replace(column, name=name) for column, name in zip(columns, names, strict=True))
        self._inputs = replace(self._inputs, columns=renamed)

    def table_inputs(self) -> TableInputs:
        inputs = self._inputs
        columns = tuple(TensorSpec(column.name, column.datatype, (-1,)) for column in inputs.columns or ())
        return TableInputs(columns, inputs.matrix, inputs.named, inputs.missing)

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        rows = self._rows(inputs)
        try:
            return {name: self._call(name, rows) for name in outputs}
        except ValueError as error:
            raise InputError(_refusal(error, inputs)) from error

    def _rows(self, inputs: Mapping[str, Array]) -> Any:
        """What the estimator is called with: a matrix, a list of texts, or a DataFrame."""
        shape = self._inputs
        if shape.matrix is not None and shape.matrix.name in inputs:
            rows = inputs[shape.matrix.name]
            if not shape.framed:
                return rows
            inputs = {column.name: rows[:, index] for index, column in enumerate(shape.columns or ())}
        if shape.framed:
            import pandas as pd

            return pd.DataFrame(dict(inputs))
        dtype = object if any(array.dtype == object for array in inputs.values()) else float
        return np.column_stack([array.astype(dtype) for array in inputs.values()])

    def _call(self, method: str, rows: Any) -> Array:
        answer: Any = getattr(self._estimator, method)(rows)
        if hasattr(answer, "toarray"):
            answer = answer.toarray()
        return np.asarray(answer)

    def _output(self, method: str) -> TensorSpec | None:
        """What a method gives, seen by calling it; None when it is no table (multi-output probabilities)."""
        answer = self._probe(method)
        if answer is None:
            classes = getattr(self._estimator, "classes_", None)
            labels = isinstance(classes, np.ndarray) and method == "predict"
            return TensorSpec(method, datatype_of(np.asarray(classes)) if labels else "FP64", (-1, -1))
        if answer.ndim > 2:
            return None
        return TensorSpec(method, datatype_of(answer), (-1, answer.shape[1] if answer.ndim == 2 else 1))

    def _probe(self, method: str) -> Array | None:
        columns = self._inputs.columns
        if columns is None:
            return None
        matrix = self._inputs.matrix
        for number in (0.0, 1.0):  # logarithms and the like refuse the one, nothing sensible refuses both
            values = [number if column.example == 0.0 else column.example for column in columns]
            if matrix is None:
                given = {
                    column.name: np.array([value], dtype=float if column.datatype == "FP64" else object)
                    for column, value in zip(columns, values, strict=True)
                }
            else:
                row = np.array(values, dtype=float if matrix.datatype == "FP64" else object)
                given = {matrix.name: row.reshape(1, -1) if len(matrix.shape) == 2 else row}
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    return self._call(method, self._rows(given))
            except (ValueError, TypeError, ArithmeticError) as error:
                logger.info("no warm-up with %s = %s: %s", method, number, error)
        return None


def load_estimator(path: Path, trusted: frozenset[str]) -> Any:
    """The fitted estimator in a file, or in the one model file of a folder.

    Raises UnsafeModelError, ModelError.
    """
    file = one_file(path, SKLEARN_SUFFIXES)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        estimator = (
            _load_skops(file, trusted) if file.suffix.lower() == ".skops" else load_pickle(file, trusted)
        )
    for message in dict.fromkeys(str(warning.message).splitlines()[0] for warning in raised):
        logger.warning("%s: %s", file.name, message)
    if not any(callable(getattr(estimator, method, None)) for method in METHODS):
        raise ModelError(
            f"{file} holds a {type(estimator).__name__}, which has none of the methods {', '.join(METHODS)}"
        )
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError:
        raise ModelError(f"{file} holds a {type(estimator).__name__} that was never fitted") from None
    except TypeError:
        pass  # a class of the user's own, which follows no convention
    return estimator


def _load_skops(file: Path, trusted: frozenset[str]) -> Any:
    from fairtrial_servers.safety.skops_files import load_skops

    return load_skops(file, trusted)


def _refusal(error: ValueError, inputs: Mapping[str, Array]) -> str:
    """The estimator's objection in one line; where it is about a number that is not finite, which one."""
    for name, array in inputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            where = np.argwhere(~np.isfinite(array))[0].tolist()
            value = array[tuple(where)]
            return f'input "{name}": this model takes finite numbers only, got {value} at {where}'
    return f"the model refuses this input: {str(error).splitlines()[0] if str(error) else 'ValueError'}"
