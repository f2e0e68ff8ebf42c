"""The data of a seldon message, as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from fairtrial_graph_components.policies.refusal import Refused

Kind = Literal["ndarray", "tensor", "strData", "jsonData", "binData"]
Message = dict[str, Any]


@dataclass(frozen=True)
class Payload:
    """`value` is nested lists for ndarray, the same for tensor, a string for strData and binData, any JSON
    otherwise."""

    kind: Kind
    value: Any
    names: list[str]

    def message(self) -> Message:
        if self.kind == "ndarray":
            return {"data": {"names": self.names, "ndarray": self.value}}
        if self.kind == "tensor":
            tensor = {"shape": list(shape_of(self.value)), "values": flat(self.value)}
            return {"data": {"names": self.names, "tensor": tensor}}
        return {self.kind: self.value}


def payload_of(message: object) -> Payload:
    """Raises Refused for a message without data, or with data that contradicts itself."""
    fields = object_of(message, "the message")
    if "data" in fields:
        return _array(object_of(fields["data"], "data"))
    for kind in ("strData", "binData"):
        if kind in fields:
            if not isinstance(fields[kind], str):
                raise Refused(f"{kind} must be a string")
            return Payload(cast(Kind, kind), fields[kind], [])
    if "jsonData" in fields:
        return Payload("jsonData", fields["jsonData"], [])
    raise Refused("the message has no data: send data.ndarray, data.tensor, strData, binData or jsonData")


def object_of(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"{what} must be a JSON object")
    return cast(Mapping[str, Any], value)


def meta_of(message: object) -> Mapping[str, Any]:
    meta = object_of(message, "the message").get("meta")
    return {} if meta is None else object_of(meta, "meta")


def tags_of(message: object) -> Mapping[str, Any]:
    tags = meta_of(message).get("tags")
    return {} if tags is None else object_of(tags, "meta.tags")


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of nested lists. Raises Refused where they are ragged."""
    if not isinstance(value, list):
        return ()
    rows = cast(list[Any], value)
    shapes = {shape_of(row) for row in rows}
    if len(shapes) > 1:
        raise Refused("data.ndarray is ragged: all rows must have the same shape")
    return (len(rows), *(shapes.pop() if shapes else ()))


def flat(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    return [cell for row in cast(list[Any], value) for cell in flat(row)]


def nested(cells: list[Any], shape: tuple[int, ...]) -> Any:
    """Cells in row-major order as nested lists; there must be as many as the shape has."""
    for size in reversed(shape[1:]):
        cells = [cells[start : start + size] for start in range(0, len(cells), size)] if size else []
    return cells if shape else cells[0]


def number_of(cell: object) -> float:
    """A finite number. Raises Refused."""
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        raise Refused(f"{_short(cell)} is no number")
    try:
        number = float(cell)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Refused(f"{_short(cell)} is no finite number")
    return number


def _array(data: Mapping[str, Any]) -> Payload:
    names = data.get("names") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in cast(list[Any], names)):
        raise Refused("data.names must be a list of strings")
    names = cast(list[str], names)
    if "ndarray" in data:
        if not isinstance(data["ndarray"], list):
            raise Refused("data.ndarray must be a list")
        shape_of(data["ndarray"])
        return Payload("ndarray", data["ndarray"], names)
    if "tensor" in data:
        return Payload("tensor", _tensor(object_of(data["tensor"], "data.tensor")), names)
    raise Refused("data must have ndarray or tensor (tftensor is not read)")


def _tensor(tensor: Mapping[str, Any]) -> Any:
    shape, values = tensor.get("shape"), tensor.get("values")
    if not isinstance(shape, list) or not isinstance(values, list):
        raise Refused("data.tensor must have the lists shape and values")
    sizes = cast(list[Any], shape)
    if not sizes or not all(type(size) is int and size >= 0 for size in sizes):
        raise Refused("data.tensor.shape must be whole numbers from 0 on")
    cells = [number_of(cell) for cell in cast(list[Any], values)]
    if math.prod(sizes) != len(cells):
        raise Refused(f"data.tensor has {len(cells)} values, and its shape {sizes} takes {math.prod(sizes)}")
    return nested(cast(list[Any], cells), tuple(sizes))


def _short(cell: object) -> str:
    text = repr(cell)
    return text if len(text) <= 40 else text[:37] + "..."
