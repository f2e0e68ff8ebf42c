"""A run as names and values: the experiment's fields, and what each look measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from fairtrial.experiment.model import Experiment

#: A user and a password in a URL.
_LOGIN = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_UNUSUAL = re.compile(r"[^\w./ -]")


def parameters_of(experiment: Experiment) -> dict[str, str]:
    """Every field that the file says or that a default fills in, by its path: `spec.candidates.0.name`.

    Without whom it notifies, and without logins in addresses.
    """
    document = experiment.model_dump(mode="json", exclude_none=True)
    document["spec"].pop("notifications", None)
    return {path: _LOGIN.sub("***", str(value)) for path, value in _leaves("", document)}


def figures_of(verdict: Mapping[str, Any]) -> dict[str, float]:
    """Of a verdict as in verdict.json, what its metrics measured: `v2/accuracy/effect`.

    effect, lower and upper (its interval), baseline and candidate (each arm's own value), statistic,
    boundary, and n_baseline, n_candidate. What is not known yet is left out, and all of a verdict in a
    journal that keeps no figures.
    """
    found: dict[str, float] = {}
    for metric in verdict.get("metrics", ()):
        lower, upper = metric["interval"] or (None, None)
        estimate, n = metric["estimate"], metric["n"]
        values = {
            "effect": estimate["effect"],
            "lower": lower,
            "upper": upper,
            "baseline": estimate["baseline"],
            "candidate": estimate["candidate"],
            "statistic": metric["statistic"],
            "boundary": metric["boundary"],
            "n_baseline": n["baseline"],
            "n_candidate": n["candidate"],
        }
        where = f"{verdict['candidate']}/{_UNUSUAL.sub('_', metric['name'])}"
        found |= {f"{where}/{name}": float(value) for name, value in values.items() if value is not None}
    return found


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        inner = cast("dict[str, object]", value).items()
    elif isinstance(value, list):
        inner = ((str(number), each) for number, each in enumerate(cast("list[object]", value)))
    else:
        yield path, value
        return
    for name, each in inner:
        yield from _leaves(f"{path}.{name}" if path else name, each)
