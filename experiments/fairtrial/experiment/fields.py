"""Finding one's way in the model and in a file: what is at a path, and which fields are beside it."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Path = tuple[str | int, ...]


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a part by the name that files use."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def part_at(root: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The part that describes the mapping at `path`; None where there is none."""
    part: type[BaseModel] | None = root
    for step in path:
        if isinstance(step, int):
            continue  # items of a list: `part` is theirs already
        field = fields_of(part).get(step) if part else None
        part = _part_in(field.annotation) if field else None
    return part


def field_at(root: type[BaseModel], path: Path) -> FieldInfo | None:
    """The field at `path`; None for items of lists and for fields that do not exist."""
    if not path or not isinstance(path[-1], str):
        return None
    part = part_at(root, path[:-1])
    return fields_of(part).get(path[-1]) if part else None


def places_of(root: type[BaseModel], name: str) -> Iterator[str]:
    """Dotted paths of the parts that have a field of this name, `[]` for items of a list."""

    def walk(part: type[BaseModel], prefix: str) -> Iterator[str]:
        for alias, field in fields_of(part).items():
            if alias == name and prefix:
                yield prefix
            inner = _part_in(field.annotation)
            if inner:
                listed = "[]" if get_origin(field.annotation) is tuple else ""
                yield from walk(inner, f"{prefix}.{alias}{listed}" if prefix else alias + listed)

    yield from walk(root, "")


def _part_in(annotation: Any) -> type[BaseModel] | None:
    """The part behind `Part`, `Part | None` and `tuple[Part, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType, tuple):
        return next((found for arg in get_args(annotation) if (found := _part_in(arg))), None)
    return None


def value_at(data: Any, path: Path) -> Any:
    """What a file says at `path`, None where it says nothing."""
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data
