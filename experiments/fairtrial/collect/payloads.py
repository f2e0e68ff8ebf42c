"""What is read of the payloads of a model server: who asked, and what was answered. Pure.

Payloads are those of the Open Inference Protocol (V2), and Seldon Core's own messages. A payload that is
neither says nothing, and is no mistake: what is not there is not known.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
from fairtrial_loadtests.scoring import Answer, read_answer

#: The unit is the request's own id; any other word names a parameter.
UNIT_IS_ID = "id"
_LONGEST = 200  # characters of a prediction, and of a unit


class Answered(NamedTuple):
    """What a response says."""

    status: int  # 200, or 500 for an error in the answer's place
    prediction: str | None  # a JSON scalar
    form: int  # how the prediction is to be compared: see `answer_of`


def read_unit(body: bytes, unit: str | None) -> str | None:
    """The unit that a request names: by its `id`, or by a parameter (in Seldon's messages a tag)."""
    if unit is None:
        return None
    document = _object(body)
    if unit == UNIT_IS_ID:
        meta = document.get("meta")
        found = document.get("id") or (meta.get("puid") if isinstance(meta, dict) else None)
    else:
        found = _within(document, "parameters", unit)
        if found is None:
            found = _within(document.get("meta"), "tags", unit)
    if found is None or isinstance(found, dict | list):
        return None
    return str(found)[:_LONGEST]


def read_answered(body: bytes) -> Answered:
    """What is answered; of a payload that cannot be read, only that there is one."""
    answer = read_answer(body)
    if answer is None:
        document = _object(body)
        if "error" in document and "outputs" not in document:
            return Answered(500, None, 0)
        answer = _seldon_answer(document)
    if answer is None:
        return Answered(200, None, 0)
    value = answer.prediction
    scalar = orjson.dumps(value[:_LONGEST] if isinstance(value, str) else value).decode()
    return Answered(200, scalar, answer.fractional + 2 * answer.position)


def answer_of(prediction: str, form: int) -> Answer:
    """The answer as it was read, from what is kept of it."""
    return Answer("", orjson.loads(prediction), fractional=bool(form & 1), position=bool(form & 2))


def _seldon_answer(document: dict[str, Any]) -> Answer | None:
    data: Any = document.get("data")
    if not isinstance(data, dict):
        return None
    tensor = data.get("tensor")
    values: Any = tensor.get("values") if isinstance(tensor, dict) else data.get("ndarray")
    while isinstance(values, list) and values and isinstance(values[0], list):
        values = values[0]
    if not isinstance(values, list) or not values:
        return None
    if len(values) > 1:
        if not all(isinstance(value, int | float) for value in values):
            return None
        return Answer("", values.index(max(values)), fractional=False, position=True)
    if not isinstance(values[0], str | int | float):
        return None
    return Answer("", values[0], fractional=isinstance(values[0], float))


def _object(body: bytes) -> dict[str, Any]:
    try:
        document: Any = orjson.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _within(part: Any, name: str, key: str) -> Any:
    inner = part.get(name) if isinstance(part, dict) else None
    return inner.get(key) if isinstance(inner, dict) else None
