"""What a model is to those who only load it and predict: batch scoring, and the runtimes that serve it."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairtrial_servers.errors import ModelError
from fairtrial_servers.tensor_specs import Array, TensorSpec

logger = logging.getLogger("fairtrial.servers")


@dataclass(frozen=True)
class Signature:
    """What a loaded model takes and gives, as its metadata states it."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    defaults: tuple[str, ...]  # the outputs that are given when a request asks for none by name


@dataclass(frozen=True)
class TableInputs:
    """How the columns of a table, as batch scoring reads them, become what `infer` takes.

    `columns`: one for each column, in the order of the model's features; empty when any number will do.
    `matrix`: the input that takes them all side by side; None: each is an input of its own.
    `named`: the names are the model's own, and not made up for want of any.
    `missing`: an empty cell stands for a missing value, which the model can deal with.
    """

    columns: tuple[TensorSpec, ...]
    matrix: TensorSpec | None
    named: bool
    missing: bool = False


class Model(ABC):
    """A model of one format. What is needed to answer requests is in `runtime.Runtime`."""

    _signature: Signature

    @abstractmethod
    def open(self, path: Path, parameters: Mapping[str, str]) -> Signature:
        """Load the model at `path`, and predict once on made-up input so that the first request is no slower.

        `parameters` are those of the graph node that runs it.
        Raises ModelError, which becomes the last words of the process.
        """

    @abstractmethod
    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """The named outputs for checked inputs, by input name.

        Raises InputError, or InferenceError where MLServer runs it, for input that the model itself refuses.
        """

    def prepare(self, path: Path, parameters: Mapping[str, str]) -> Signature:
        """`open`, and remember what the model takes."""
        self._signature = self.open(path, parameters)
        return self._signature

    def table_inputs(self) -> TableInputs:
        """How a table's columns are given to `infer`; overridden where more is known than the metadata."""
        inputs = self._signature.inputs
        if len(inputs) == 1 and len(inputs[0].shape) == 2 and inputs[0].datatype != "BYTES":
            return TableInputs((), inputs[0], named=False)
        return TableInputs(inputs, None, named=True)


def parse_trusted(parameters: Mapping[str, str]) -> frozenset[str]:
    """The modules in the parameter `trusted`, separated by commas. Raises ModelError for what is no name."""
    names = [name.strip() for name in parameters.get("trusted", "").split(",") if name.strip()]
    for name in names:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ModelError(f'the parameter "trusted" lists module names separated by commas, not {name!r}')
    if names:
        logger.warning("loading with trust in these modules, as the parameter says: %s", ", ".join(names))
    return frozenset(names)
