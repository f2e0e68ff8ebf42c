"""The JSON Schema of an experiment file, for editors, generated from the model.

A copy is checked in beside this module. `python -m fairtrial.experiment.schema` brings it into step.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from typing_extensions import override

from fairtrial.experiment.model import Experiment
from fairtrial.experiment.schema_file import SCHEMA_NAME

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Generator(GenerateJsonSchema):
    """Leaves out what only makes noise in an editor: generated titles, and null for "not said"."""

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    @override
    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    @override
    def default_schema(self, schema: Any) -> JsonSchemaValue:
        generated = super().default_schema(schema)
        if generated.get("default", ...) is None:
            del generated["default"]
        written = schema["schema"].get("serialization")
        if "default" in generated and written and written["type"] == "function-plain":
            generated["default"] = written["function"](schema["default"])  # 90s rather than 90.0
        return generated


def schema_text(model: type[BaseModel] = Experiment) -> str:
    """The schema as the checked-in file has it; that of another kind of file by its model."""
    schema = model.model_json_schema(by_alias=True, schema_generator=Generator)
    return json.dumps({"$schema": _DIALECT, **schema}, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / SCHEMA_NAME).write_text(schema_text(), encoding="utf-8")
