"""What the owner of a model says of its inputs, where the model's own file does not.

Either the parameter `inputs` of the graph node, `inputs: "x:FP32:[-1,64]; mask:BOOL:[-1]"`, or a file
`metadata.json` beside the model, written as V2 metadata: `{"inputs": [{"name", "datatype", "shape"}]}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from fairtrial_servers.errors import ModelError
from fairtrial_servers.tensor_specs import NUMPY, TensorSpec

METADATA = "metadata.json"
_ONE = re.compile(r"\s*(?P<name>[^:;]+?)\s*:\s*(?P<datatype>\w+)\s*:\s*\[(?P<shape>[-\d,\s]*)\]\s*")
FORM = 'inputs: "x:FP32:[-1,64]", -1 for any size, several separated by ";"'


def declared_inputs(file: Path, parameters: Mapping[str, str]) -> tuple[TensorSpec, ...] | None:
    """The inputs by the parameter, or else by the file beside the model; None where neither is there.

    Raises ModelError for what is neither's form.
    """
    said = parameters.get("inputs")
    if said is not None:
        return _parsed(said)
    beside = file.parent / METADATA
    if beside.is_file():
        try:
            return from_metadata(beside.read_bytes(), str(beside))
        except OSError as error:
            raise ModelError(f"cannot read {beside}: {error.strerror}") from error
    return None


def from_metadata(text: bytes, where: str) -> tuple[TensorSpec, ...] | None:
    """The inputs in V2 metadata; None where it has none. Raises ModelError."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where} is not valid JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(said, dict) or "inputs" not in said:
        return None
    try:
        specs = tuple(_spec(str(each["name"]), each["datatype"], each["shape"]) for each in said["inputs"])
    except (KeyError, TypeError, ValueError):
        specs = ()
    return _checked(specs, f"{where}: `inputs` is a list of objects with name, datatype and shape")


def _parsed(said: str) -> tuple[TensorSpec, ...]:
    specs: list[TensorSpec] = []
    for part in said.split(";"):
        found = _ONE.fullmatch(part)
        try:
            shape = [int(size) for size in found["shape"].split(",") if size.strip()] if found else None
            specs.append(_spec(found["name"], found["datatype"], shape) if found else _never())
        except ValueError:
            raise ModelError(f"the parameter inputs is written as {FORM}; got {said!r}") from None
    return _checked(tuple(specs), f"the parameter inputs is written as {FORM}; got {said!r}")


def _never() -> TensorSpec:
    raise ValueError


def _spec(name: str, datatype: Any, shape: Any) -> TensorSpec:
    sizes = cast("list[Any]", shape) if isinstance(shape, list) else None
    if datatype not in NUMPY or sizes is None or not all(type(size) is int and size >= -1 for size in sizes):
        raise ValueError
    return TensorSpec(name, datatype, tuple(sizes))


def _checked(specs: tuple[TensorSpec, ...], otherwise: str) -> tuple[TensorSpec, ...]:
    names = [spec.name for spec in specs]
    if not names or len(set(names)) != len(names) or any(0 in spec.shape for spec in specs):
        raise ModelError(otherwise)
    return specs
