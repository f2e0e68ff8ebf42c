"""The model that scores: fetched, told by its format, loaded by the runtime that would serve it."""

from __future__ import annotations

import hashlib
import importlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairtrial_servers import models
from fairtrial_servers.errors import InputError
from fairtrial_servers.formats import Format, detect
from fairtrial_servers.launch import resolve
from fairtrial_servers.scoring.errors import ScoreError
from fairtrial_servers.store import fetch
from fairtrial_servers.tensor_specs import Array


@dataclass(frozen=True)
class Model:
    loaded: models.Model
    signature: models.Signature
    path: Path
    format: str


def load(address: str, parameters: Mapping[str, str]) -> Model:
    """The model at an address that some store takes. Raises ServerError, ModelError, UnsafeModelError."""
    path = fetch(address, Path.cwd())
    known = detect(path)
    implementation = resolve(known.implementation)
    logging.getLogger("fairtrial.servers").setLevel(logging.WARNING)
    if known.model:
        model: models.Model = _named(known.model)()
    else:
        model = _Served(address, known, _named(implementation), path, parameters)
    return Model(model, model.prepare(path, parameters), path, known.name)


def _named(name: str) -> Any:
    module, _, kind = name.rpartition(".")
    return getattr(importlib.import_module(module), kind)


class _Served(models.Model):
    """A model that its runtime loads, with MLServer imported for it."""

    def __init__(
        self, address: str, known: Format, kind: Any, path: Path, parameters: Mapping[str, str]
    ) -> None:
        """Raises ScoreError for a runtime that is not ours."""
        from mlserver.settings import ModelSettings

        from fairtrial_servers.runtime import Runtime

        if not issubclass(kind, Runtime):
            raise ScoreError(
                f"{address}: models of the format {known.name} are served only, and not scored with"
            )
        settings = ModelSettings.model_validate(
            {
                "name": "scoring",
                "implementation": known.implementation,
                "parameters": {"uri": str(path), "extra": dict(parameters)},
            }
        )
        self._runtime = kind(settings)

    def open(self, path: Path, parameters: Mapping[str, str]) -> models.Signature:
        return self._runtime.prepare(path, parameters)

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        from mlserver.errors import InferenceError

        try:
            return self._runtime.infer(inputs, outputs)
        except InferenceError as error:
            raise InputError(str(error)) from error

    def table_inputs(self) -> models.TableInputs:
        return self._runtime.table_inputs()


def digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and bytes of all files in a folder."""
    if path.is_file():
        return f"sha256:{_file_digest(path)}"
    whole = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        whole.update(f"{file.relative_to(path).as_posix()}\0{_file_digest(file)}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def _file_digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
