"""The JSON Schema of a pipeline file, for editors, generated from the model.

A copy is checked in beside this module. `python -m fairtrial.delivery.pipeline.schema` brings it into step.
"""

from __future__ import annotations

from pathlib import Path

from fairtrial.delivery.pipeline.model import Pipeline
from fairtrial.delivery.pipeline.schema_file import SCHEMA_NAME
from fairtrial.experiment.schema import schema_text


def pipeline_schema_text() -> str:
    """The schema as the checked-in file has it."""
    return schema_text(Pipeline)


if __name__ == "__main__":
    (Path(__file__).parent / SCHEMA_NAME).write_text(pipeline_schema_text(), encoding="utf-8")
