"""Specs of Pipeline resources, and what becomes of them without a cluster."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from fairtrial.errors import UsageError
from fairtrial.operator.pipelines.checking import Checked, checked
from fairtrial.operator.pipelines.objects import Wanted

EXPERIMENT: dict[str, Any] = {
    "baseline": {"name": "old", "modelUri": "models:/wine@champion", "format": "sklearn"},
    "candidates": [{"name": "new", "modelUri": "models:/wine@challenger", "format": "sklearn"}],
    "traffic": {"loadTest": {"requests": {"data": "rows.csv"}}},
    "metrics": [{"name": "accuracy"}],
}
SPEC: dict[str, Any] = {
    "registry": {"mlflow": {"model": "wine"}},
    "experiment": EXPERIMENT,
    "pod": {"files": {"configMap": "holdout"}},
}
LISTENING = {"address": "0.0.0.0", "port": 8077, "token": "TOKEN"}
FILES = ("rows.csv",)


def spec(**fields: Any) -> dict[str, Any]:
    """The spec with others of these fields; `...` takes one out."""
    said = copy.deepcopy(SPEC | fields)
    return {name: value for name, value in said.items() if value is not ...}


def experiment(**fields: Any) -> dict[str, Any]:
    """A spec with others of these fields in its experiment."""
    return spec(experiment=EXPERIMENT | fields)


def read(said: dict[str, Any], files: Collection[str] = FILES, name: str = "wine") -> Checked:
    with tempfile.TemporaryDirectory() as folder:
        return checked("models", name, said, files, Path(folder))


def mistakes(said: dict[str, Any], files: Collection[str] = FILES, name: str = "wine") -> str:
    with pytest.raises(UsageError) as caught:
        read(said, files, name)
    return str(caught.value)


def wanted(said: dict[str, Any], files: Collection[str] = FILES, image: str = "fairtrial:1") -> Wanted:
    return Wanted(read(said, files), "uid-1", image, {each: f"digest of {each}" for each in files})
