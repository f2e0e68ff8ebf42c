"""`content_type` in the parameters of a request or of an input: how the client wants its tensors read.

The names are those of MLServer's codecs. What they say is held against what was sent: a content type that
does not fit is refused, where MLServer passes over it or fails.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from mlserver.errors import InferenceError

from fairtrial_servers.serving.messages import Parameters, Request, Tensor

#: For an input: `np` an array in row order; `str` strings; `base64` bytes in base64; `raw` as it is.
OF_INPUTS = frozenset({"np", "str", "base64", "raw"})
#: For a request: the same for all its inputs, or `pd`, where each input is a column.
OF_REQUESTS = OF_INPUTS | {"pd"}


def apply(request: Request) -> None:
    """Turn the inputs into what their content types say. Raises InferenceError."""
    every = _content_type(request.parameters, "the request", OF_REQUESTS)
    for entry in request.inputs:
        own = _content_type(entry.parameters, f'input "{entry.name}"', OF_INPUTS)
        if every == "pd":
            _check_column(entry)
        kind = own or every
        if kind in ("str", "base64") and entry.datatype != "BYTES":
            raise InferenceError(
                f'input "{entry.name}": the content_type "{kind}" is for datatype BYTES, got {entry.datatype}'
            )
        if kind == "base64":
            entry.data = [_from_base64(entry, value) for value in _elements(entry)]


def _content_type(parameters: Parameters | None, what: str, known: frozenset[str]) -> str | None:
    if not parameters:
        return None
    if not isinstance(parameters.get("headers"), dict | None):
        raise InferenceError(f"{what}: the parameter headers must be an object")
    said = parameters.get("content_type")
    if said is not None and not (isinstance(said, str) and said in known):
        raise InferenceError(
            f"{what}: unknown content_type {said!r}; known here are {', '.join(sorted(known))}"
        )
    return said


def _check_column(entry: Tensor) -> None:
    if not (len(entry.shape) == 1 or (len(entry.shape) == 2 and entry.shape[1] == 1)):
        raise InferenceError(
            f'input "{entry.name}": with the content_type "pd" each input is a column of shape [n] '
            f"or [n, 1], got {entry.shape}"
        )


def _elements(entry: Tensor) -> list[Any]:
    data = entry.data.tolist() if hasattr(entry.data, "tolist") else entry.data
    if not isinstance(data, list):
        raise InferenceError(f'input "{entry.name}": data must be a list')
    return data


def _from_base64(entry: Tensor, value: object) -> bytes:
    if isinstance(value, str | bytes):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise InferenceError(f'input "{entry.name}": an element is not valid base64, as its content_type says')
