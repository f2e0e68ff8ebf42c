"""The model that scores: fetched, told by its format, loaded by the runtime that would serve it."""

from __future__ import annotations

import hashlib
import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlserver.settings import ModelSettings

from fairtrial_servers.formats import detect
from fairtrial_servers.launch import resolve
from fairtrial_servers.runtime import Runtime, Signature
from fairtrial_servers.scoring.errors import ScoreError
from fairtrial_servers.store import fetch


@dataclass(frozen=True)
class Model:
    runtime: Runtime
    signature: Signature
    path: Path
    format: str


def load(address: str, parameters: Mapping[str, str]) -> Model:
    """The model at an address that some store takes. Raises ServerError, ModelError, UnsafeModelError."""
    path = fetch(address, Path.cwd())
    known = detect(path)
    module, _, name = resolve(known.implementation).rpartition(".")
    kind = getattr(importlib.import_module(module), name)
    if not issubclass(kind, Runtime):
        raise ScoreError(f"{address}: models of the format {known.name} are served only, and not scored with")
    logging.getLogger("fairtrial.servers").setLevel(logging.WARNING)
    settings = ModelSettings.model_validate(
        {
            "name": "scoring",
            "implementation": known.implementation,
            "parameters": {"uri": str(path), "extra": dict(parameters)},
        }
    )
    runtime = kind(settings)
    return Model(runtime, runtime.prepare(path, parameters), path, known.name)


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
