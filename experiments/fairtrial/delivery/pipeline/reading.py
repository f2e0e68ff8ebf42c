"""From a file to a `Pipeline`, or to every mistake in it at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairtrial.delivery.pipeline.model import KIND, Pipeline
from fairtrial.errors import UsageError
from fairtrial.experiment.decoding import decode
from fairtrial.experiment.problems import ExperimentFileError
from fairtrial.experiment.typed_files import FileKind, load_as
from fairtrial.experiment.wording import Mistake
from fairtrial.experiment.yaml_tree import parse_tree


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
    try:
        return load_as(PIPELINE, path)
    except ExperimentFileError:
        if not is_resource(Path(path).read_bytes()):
            raise
    raise UsageError(
        f"{path} is a Pipeline for a cluster: `kubectl apply -f` it there, and the operator watches it. "
        "A pipeline file names its experiment by a path, and has no pod"
    )


def is_resource(raw: bytes) -> bool:
    """Whether a file is for a cluster: of a pipeline file the experiment is a path, and it has no pod."""
    text = decode(raw)
    root = parse_tree(text).root if isinstance(text, str) else None
    spec = root.get("spec") if isinstance(root, dict) else None
    return isinstance(spec, dict) and ("pod" in spec or isinstance(spec.get("experiment"), dict))
