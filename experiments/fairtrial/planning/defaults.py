"""The defaults that an experiment took, for people who want to know what they agreed to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel


def defaults_of(part: BaseModel, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path as in the file, value) of every field that the file left out, in the order of the model."""
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        where = f"{path}.{field.alias or name}".lstrip(".")
        if isinstance(value, BaseModel):
            yield from defaults_of(value, where)
        elif isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
            for i, item in enumerate(value):
                yield from defaults_of(item, f"{where}.{i}")
        elif name not in part.model_fields_set and value is not None:
            yield where, value
