"""From a file to a `Pipeline`, or to every mistake in it at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairtrial.delivery.pipeline.model import KIND, Pipeline
from fairtrial.experiment.typed_files import FileKind, load_as
from fairtrial.experiment.wording import Mistake


def _missing(data: dict[str, Any], folder: Path) -> Iterator[Mistake]:
    spec = data.get("spec")
    if not isinstance(spec, dict):
        return
    named = spec.get("experiment", "experiment.yaml")
    if isinstance(named, str) and named and not (folder / named).is_file():
        said = "" if "experiment" in spec else ", the default; say where it is"
        yield Mistake(("spec", "experiment"), f"there is no experiment file at {folder / named}{said}")


PIPELINE = FileKind(
    Pipeline,
    KIND,
    called="a pipeline file",
    default="pipeline.yaml",
    hints={"Experiment": "`fairtrial run` takes it"},
    missing=_missing,
)


def load(path: str | Path) -> Pipeline:
    """Read and check a pipeline file. Raises UsageError, ExperimentFileError with every mistake's place."""
    return load_as(PIPELINE, path)
