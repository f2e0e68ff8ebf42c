"""How many bytes an array takes that joblib keeps between the opcodes of a pickle, and .npy files.

joblib goes by a description that the file's author wrote. Where the description says one thing in two
places, they must agree: a file that two readers read differently is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from fairtrial_servers.safety.scan.findings import Unreadable

if TYPE_CHECKING:
    from fairtrial_servers.safety.scan.inert import Inert

WRAPPER_STATE = frozenset(
    ("subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes")
)
_CODE = re.compile(r"[|<>=]?([biufcmMOSUV?])(\d{0,9})(\[[\w/]{1,12}\])?")
_HAS_OBJECTS = 1  # numpy's flag in a dtype's state


def layout(state: dict[str, Any]) -> tuple[int, bool]:
    """The bytes that follow, and whether it is a pickle that follows instead. Raises Unreadable."""
    shape = state.get("shape")
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise Unreadable("an array in it has no shape")
    size, pickled = _dtype(state.get("dtype"), 0)
    for length in shape:
        size *= length
    return size, pickled


def _dtype(said: Any, depth: int) -> tuple[int, bool]:
    """Bytes of one element, and whether it holds objects."""
    args: Any = getattr(said, "args", None)
    if getattr(said, "name", None) != ("numpy", "dtype") or depth > 8:
        raise Unreadable("an array in it has no type that can be told")
    if not (isinstance(args, tuple) and args and isinstance(args[0], str)):
        raise Unreadable("an array in it has no type that can be told")
    code = _CODE.fullmatch(args[0])
    if code is None:
        raise Unreadable(f"an array in it is of the type {args[0][:20]!r}, which is not known")
    size, objects = np.dtype(args[0]).itemsize, code[1] == "O"
    inert: Inert = said
    state: Any = inert.state
    if state is None:
        return size, objects
    if not isinstance(state, tuple) or len(state) not in (8, 9) or type(state[5]) is not int:
        raise Unreadable("the type of an array in it is described in a way that numpy does not")
    _, _, subarray, names, fields, itemsize, _, flags = state[:8]
    if code[1] in "SUV" and itemsize >= 0:
        size = itemsize
    objects |= any([_dtype(part, depth + 1)[1] for part in _parts(subarray, names, fields)])
    if type(flags) is not int or bool(flags & _HAS_OBJECTS) != objects:
        raise Unreadable("the type of an array in it contradicts itself")
    return size, objects


def _parts(subarray: Any, names: Any, fields: Any) -> list[Any]:
    """The types that a compound type is made of."""
    parts: list[Any] = [] if subarray is None else [subarray]
    if fields is not None:
        if not isinstance(fields, dict) or not isinstance(names, tuple) or len(fields) != len(names):
            raise Unreadable("the type of an array in it has too many fields, or none")
        parts.extend(fields.values())
    if not all(isinstance(part, tuple) and part for part in parts):
        raise Unreadable("the type of an array in it is described in a way that numpy does not")
    return [part[0] for part in parts]
