"""What a fitted scikit-learn estimator takes, read from the estimator itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairtrial_servers.errors import ModelError
from fairtrial_servers.tensor_specs import Array, TensorSpec

#: Modules whose estimators exist to deal with missing values, or say so in their fitted state.
_FOR_MISSING = (
    "sklearn.impute",
    "sklearn.ensemble._hist_gradient_boosting",
    "xgboost",
    "lightgbm",
    "catboost",
)


@dataclass(frozen=True)
class Column:
    """One feature: its name, V2 datatype, and a value that the estimator knows."""

    name: str
    datatype: str = "FP64"
    example: Any = 0.0


@dataclass(frozen=True)
class Inputs:
    """How rows reach the estimator.

    `matrix`: one 2-D tensor (or, for a text model, one list of strings) takes all features.
    `columns`: the features one by one; None when their number is not known.
    `framed`: the estimator was fitted on a DataFrame and tells strings from numbers by its columns.
    `missing`: a null stands for a missing value, because some step is there to deal with them.
    `unused`: features that the estimator was shown and drops; they may be sent, and are ignored.
    """

    matrix: TensorSpec | None
    columns: tuple[Column, ...] | None
    framed: bool
    missing: bool
    unused: frozenset[str] = frozenset()

    @property
    def named(self) -> bool:
        """Whether the columns' names are those that the estimator was fitted on."""
        names = [column.name for column in self.columns or ()]
        return names not in ([f"x{index}" for index in range(len(names))], ["input-0"])

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The inputs as the metadata states them."""
        if self.matrix is not None:
            return (self.matrix,)
        return tuple(TensorSpec(column.name, column.datatype, (-1,)) for column in self.columns or ())


def inputs_of(estimator: Any) -> Inputs:
    """Raises ModelError for an estimator that takes neither a table nor a list of texts."""
    missing = any(type(part).__module__.startswith(_FOR_MISSING) for part in walk(estimator))
    first = _first_with_columns(estimator)
    if _takes_text(first):
        return Inputs(
            TensorSpec("input-0", "BYTES", (-1,)), (Column("input-0", "BYTES", "a"),), False, missing
        )
    names = getattr(estimator, "feature_names_in_", None)
    count = getattr(estimator, "n_features_in_", None)
    if count is None:
        if "Dict" in type(first).__name__:
            raise ModelError(f"a model that starts with {type(first).__name__} takes no tensors: not served")
        return Inputs(TensorSpec("input-0", "FP64", (-1, -1)), None, False, missing)
    labels = [str(name) for name in names] if names is not None else [f"x{index}" for index in range(count)]
    known = _categories(first, int(count))
    unused = _unused(first, int(count)) if names is not None else frozenset[int]()
    columns = tuple(
        Column(label, *_kind(known[index])) if index in known else Column(label)
        for index, label in enumerate(labels)
        if index not in unused
    )
    kinds = {column.datatype for column in columns}
    if not unused and (kinds == {"FP64"} or (kinds == {"BYTES"} and names is None)):
        matrix = TensorSpec("input-0", kinds.pop(), (-1, int(count)))
        return Inputs(matrix, columns, _needs_frame(estimator, names), missing)
    return Inputs(None, columns, names is not None, missing, frozenset(labels[index] for index in unused))


def walk(estimator: Any) -> Iterator[Any]:
    """The estimator and all estimators inside it."""
    yield estimator
    for part in _parts(estimator):
        yield from walk(part)


def _parts(estimator: Any) -> list[Any]:
    """The estimators one level inside, in the order in which data meets them."""
    inside: list[Any]
    if isinstance(getattr(estimator, "steps", None), list):
        inside = [step[1] for step in estimator.steps]
    elif isinstance(getattr(estimator, "transformers_", None), list):
        inside = [entry[1] for entry in estimator.transformers_]
    elif isinstance(getattr(estimator, "transformer_list", None), list):
        inside = [entry[1] for entry in estimator.transformer_list]
    elif hasattr(estimator, "named_estimators_"):  # votes and stacks
        inside = list(estimator.named_estimators_.values())
    else:
        names = ("best_estimator_", "estimator_", "regressor_")
        inside = [getattr(estimator, name, None) for name in names]
    return [part for part in inside if hasattr(part, "get_params")]


def _takes_text(leaf: Any) -> bool:
    tags = getattr(leaf, "__sklearn_tags__", None)
    return tags is not None and bool(tags().input_tags.string)


def _needs_frame(estimator: Any, names: Any) -> bool:
    """Columns chosen by name or type are looked up in a DataFrame; all other steps go by position."""
    return names is not None and any(
        hasattr(part, "transformers_") or _own_encoder(part) is not None for part in walk(estimator)
    )


def _own_encoder(leaf: Any) -> Any:
    """The ColumnTransformer inside a HistGradientBoosting model that was fitted on categories, else None."""
    return getattr(leaf, "_preprocessor", None)


def _unused(first: Any, count: int) -> frozenset[int]:
    """Positions of the features that a ColumnTransformer drops."""
    transformers = getattr(first, "transformers_", None)
    positions: dict[str, Sequence[int]] = getattr(first, "_transformer_to_input_indices", {})
    if not isinstance(transformers, list) or not positions:
        return frozenset()
    used = {index for name, part, _ in transformers if part != "drop" for index in positions.get(name, ())}
    return frozenset(range(count)) - used


def _categories(first: Any, count: int) -> dict[int, Array]:
    """Feature position -> the values that an encoder was fitted on (or one example of what it takes)."""
    transformers = getattr(first, "transformers_", None)
    if not isinstance(transformers, list):
        return dict(enumerate(_encoded(first, count)))
    found: dict[int, Array] = {}
    positions: dict[str, Sequence[int]] = getattr(first, "_transformer_to_input_indices", {})
    for name, part, columns in transformers:
        where = list(positions.get(name, ()))
        if isinstance(columns, str) or not hasattr(part, "get_params"):
            # A single name hands one column of texts to a vectorizer.
            if where and hasattr(part, "get_params") and _takes_text(_first_with_columns(part)):
                found[where[0]] = np.array(["a"], dtype=object)
            continue
        for index, values in zip(where, _encoded(_first_with_columns(part), len(where)), strict=False):
            if index not in found or values.dtype.kind in "OUS":
                found[index] = values
    return found


def _first_with_columns(estimator: Any) -> Any:
    """The first step that still sees the features as they came: past imputers, which keep them in place."""
    while True:
        parts = [] if hasattr(estimator, "transformers_") else _parts(estimator)
        if not parts:
            return _own_encoder(estimator) or estimator
        beyond = (part for part in parts if not type(part).__module__.startswith("sklearn.impute"))
        estimator = next(beyond, parts[0])


def _encoded(leaf: Any, count: int) -> list[Array]:
    categories = getattr(leaf, "categories_", None)
    if isinstance(categories, list) and len(categories) == count:
        return [np.asarray(values) for values in categories]
    return []


def _kind(values: Array) -> tuple[str, Any]:
    """The datatype and an example for a column with these values."""
    if values.dtype.kind in "OUS":
        texts = [value for value in values.tolist() if isinstance(value, str)]
        if texts or not len(values):
            return "BYTES", texts[0] if texts else "a"
    example = values.tolist()[0] if len(values) else 0.0
    return "FP64", example
