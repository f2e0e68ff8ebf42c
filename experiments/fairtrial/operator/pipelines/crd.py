"""The CustomResourceDefinition of pipelines, generated from the model.

Copies are checked in beside this module and in the chart. `python -m fairtrial.operator.pipelines.crd` brings
both into step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairtrial.delivery.pipeline.model import KIND, Pipeline
from fairtrial.experiment.definition import Definition
from fairtrial.operator.pipelines.crd_file import CRD_NAME
from fairtrial.operator.pipelines.spec import Metadata, ResourceSpec
from fairtrial.operator.pipelines.status import Standing

_PIPELINES = Definition(
    kind=KIND,
    plural="pipelines",
    short="fp",
    description=Pipeline.__doc__ or "",
    metadata=Metadata,
    spec=ResourceSpec,
    status=Standing,
    columns=(
        ("Phase", "string", ".status.phase", "Where the pipeline is."),
        ("In service", "string", ".status.inService", "The version in service."),
        ("Last", "string", ".status.last.action", "The newest entry of the history."),
        ("Age", "date", ".metadata.creationTimestamp", "Since when there is this pipeline."),
    ),
    module="fairtrial.operator.pipelines.crd",
)


def crd() -> dict[str, Any]:
    """The definition as data."""
    return _PIPELINES.crd()


def crd_text() -> str:
    """The definition as the checked-in files have it."""
    return _PIPELINES.text()


if __name__ == "__main__":
    repository = Path(__file__).parents[4]
    for folder in (Path(__file__).parent, repository / "charts" / "fairtrial" / "crds"):
        (folder / CRD_NAME).write_text(crd_text(), encoding="utf-8")
