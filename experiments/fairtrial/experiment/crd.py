"""The CustomResourceDefinition of experiments, generated from the same model as the file's JSON Schema.

Copies are checked in beside this module and in the chart. `python -m fairtrial.experiment.crd` brings both
into step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairtrial.experiment.definition import Definition
from fairtrial.experiment.model import KIND, Experiment, Metadata, Spec
from fairtrial.experiment.schema_file import CRD_NAME
from fairtrial.experiment.standing import Standing

_EXPERIMENTS = Definition(
    kind=KIND,
    plural="experiments",
    short="fx",
    description=Experiment.__doc__ or "",
    metadata=Metadata,
    spec=Spec,
    status=Standing,
    columns=(
        ("Phase", "string", ".status.phase", "Where the experiment is."),
        ("Step", "string", ".status.step", "Which step of how many."),
        ("Verdict", "string", ".status.verdict.verdict", "The latest verdict; CONTINUE until it is final."),
        ("Weights", "string", ".status.split", "Percent of the traffic, by arm."),
        ("Age", "date", ".metadata.creationTimestamp", "Since when there is this experiment."),
    ),
    module="fairtrial.experiment.crd",
)


def crd() -> dict[str, Any]:
    """The definition as data."""
    return _EXPERIMENTS.crd()


def crd_text() -> str:
    """The definition as the checked-in files have it."""
    return _EXPERIMENTS.text()


if __name__ == "__main__":
    repository = Path(__file__).parents[3]
    for folder in (Path(__file__).parent, repository / "charts" / "fairtrial" / "crds"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CRD_NAME).write_text(crd_text(), encoding="utf-8")
