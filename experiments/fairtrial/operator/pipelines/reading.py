"""A Pipeline resource in a file, checked as far as that can be done without its cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairtrial.delivery.pipeline.model import KIND
from fairtrial.experiment.typed_files import FileKind, load_as
from fairtrial.experiment.wording import Mistake
from fairtrial.operator.pipelines.checking import files_of, mistakes_beside
from fairtrial.operator.pipelines.spec import Resource


def load(path: str | Path) -> Resource:
    """Raises UsageError, ExperimentFileError with every mistake's place."""
    return load_as(_RESOURCE, path)


def _missing(data: dict[str, Any], _folder: Path) -> Iterator[Mistake]:
    spec = data.get("spec")
    if not isinstance(spec, dict):
        return
    metadata = data.get("metadata")
    namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
    files = None if files_of(spec) is not None else ()  # the ConfigMap is in the cluster
    with tempfile.TemporaryDirectory(prefix="fairtrial-pipeline-") as folder:
        yield from mistakes_beside(data, namespace, files, Path(folder))


_RESOURCE = FileKind(Resource, KIND, called="a Pipeline resource", default="pipeline.yaml", missing=_missing)
