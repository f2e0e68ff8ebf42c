"""One answer from those of several models, in the order of the graph's children."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, cast

from fairtrial_graph_components.policies.payloads import Payload, flat, nested, number_of, shape_of
from fairtrial_graph_components.policies.refusal import Refused


def average(answers: Sequence[Payload], weights: Sequence[float] = ()) -> Payload:
    """The (weighted) mean of each number. Of jsonData the numbers are averaged, and all else must be
    equal."""
    first, shares = _alike(answers, weights)
    if first.kind == "jsonData":
        return Payload("jsonData", _average_json([answer.value for answer in answers], shares), [])
    if first.kind not in ("ndarray", "tensor"):
        raise Refused(f"{first.kind} cannot be averaged: send numbers, or combine by majority")
    columns = zip(*(flat(answer.value) for answer in answers), strict=True)
    return Payload(
        first.kind, nested([_mean(cells, shares) for cells in columns], shape_of(first.value)), first.names
    )


def majority(answers: Sequence[Payload], weights: Sequence[float] = (), *, scores: bool = False) -> Payload:
    """What most (by weight) say: for each cell of an array, or of strData and jsonData for the whole. In a
    tie the value wins that stands in the answer of the earliest child. With `scores`, each row of an array is
    one number per class, votes for the greatest (of equals the first), and the answer is its index or, with
    names, its name."""
    first, shares = _alike(answers, weights)
    if scores:
        return _vote_by_scores(answers, shares)
    if first.kind in ("ndarray", "tensor"):
        columns = zip(*(flat(answer.value) for answer in answers), strict=True)
        won = [_winner(cells, shares) for cells in columns]
        return Payload(first.kind, nested(won, shape_of(first.value)), first.names)
    if first.kind == "binData":
        raise Refused("binData cannot be voted on: send labels as data.ndarray, strData or jsonData")
    return Payload(first.kind, _winner([answer.value for answer in answers], shares), [])


def _alike(answers: Sequence[Payload], weights: Sequence[float]) -> tuple[Payload, list[float]]:
    if not answers:
        raise Refused("there is no answer to combine")
    if weights and len(weights) != len(answers):
        raise Refused(f"{len(answers)} answers came, and there are {len(weights)} weights")
    first = answers[0]
    for place, answer in enumerate(answers[1:], 2):
        if {first.kind, answer.kind} - {"ndarray", "tensor"} and answer.kind != first.kind:
            raise Refused(f"answer 1 is {first.kind} and answer {place} is {answer.kind}")
        if first.kind in ("ndarray", "tensor"):
            if shape_of(answer.value) != shape_of(first.value):
                shapes = f"{list(shape_of(first.value))} and answer {place} {list(shape_of(answer.value))}"
                raise Refused(f"answer 1 has the shape {shapes}")
            if first.names and answer.names and answer.names != first.names:
                raise Refused(f"answer {place} has other names, or in another order, than answer 1")
    return first, list(weights) or [1.0] * len(answers)


def _mean(cells: Sequence[object], shares: Sequence[float]) -> float:
    total = sum(shares)
    # Each is divided before it is summed up: the mean of large numbers is a number, even where their sum is
    # not.
    return sum(number_of(cell) * (share / total) for cell, share in zip(cells, shares, strict=True))


def _average_json(values: Sequence[Any], shares: Sequence[float]) -> Any:
    first = values[0]
    if isinstance(first, dict):
        fields = cast(dict[str, Any], first)
        if not all(isinstance(value, dict) and value.keys() == fields.keys() for value in values):
            raise Refused("the answers' jsonData have different fields")
        return {name: _average_json([value[name] for value in values], shares) for name in fields}
    if isinstance(first, list):
        rows = cast(list[Any], first)
        if not all(isinstance(value, list) and len(cast(list[Any], value)) == len(rows) for value in values):
            raise Refused("the answers' jsonData have lists of different lengths")
        return [_average_json(list(cells), shares) for cells in zip(*values, strict=True)]
    if isinstance(first, int | float) and not isinstance(first, bool):
        return _mean(values, shares)
    if any(_key(value) != _key(first) for value in values):
        raise Refused("the answers' jsonData differ in what is no number")
    return first


def _winner(cells: Sequence[Any], shares: Sequence[float]) -> Any:
    votes: dict[str, float] = {}
    values: dict[str, Any] = {}
    for cell, share in zip(cells, shares, strict=True):
        key = _key(cell)
        values.setdefault(key, cell)
        votes[key] = votes.get(key, 0.0) + share
    most = max(votes.values())
    # Weights such as 0.1 + 0.2 and 0.3 tie in spite of their rounding.
    return values[next(key for key, sum_ in votes.items() if sum_ >= most * (1 - 1e-12))]


def _key(value: object) -> str:
    """Equal for equal JSON: 1 and 1.0 are the same, 1 and true are not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


def _vote_by_scores(answers: Sequence[Payload], shares: Sequence[float]) -> Payload:
    first = answers[0]
    shape = shape_of(first.value)
    if first.kind not in ("ndarray", "tensor") or len(shape) != 2 or not shape[1]:
        raise Refused(
            "a vote by scores needs rows with one number for each class, as data.ndarray or data.tensor"
        )
    greatest: Callable[[list[Any]], int] = lambda row: max(  # noqa: E731
        range(len(row)), key=lambda at: number_of(row[at])
    )
    columns = zip(*([greatest(row) for row in answer.value] for answer in answers), strict=True)
    won = [_winner(cells, shares) for cells in columns]
    if len(first.names) == shape[1]:
        return Payload("ndarray", [first.names[at] for at in won], [])
    return Payload(first.kind, won, [])
