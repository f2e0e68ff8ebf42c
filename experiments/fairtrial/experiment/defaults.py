"""What a file leaves unsaid and the model filled in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from fairtrial.experiment.analysis import Analysis
from fairtrial.experiment.live import Live
from fairtrial.experiment.metrics import Metric
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.strategy import Canary
from fairtrial.experiment.traffic import LoadTest


@dataclass(frozen=True)
class Default:
    """One field that was filled in, with its value as a file would say it."""

    path: str
    value: str | bool | int | float


def filled_in(experiment: Experiment) -> list[Default]:
    """Every default that took effect, in the order of the model; nothing for what is simply absent."""
    found = _unsaid(experiment, experiment.model_dump(mode="json"), "")
    if experiment.data is not None:
        return list(found)
    rows = [f"spec.traffic.loadTest.requests.{name}" for name in ("data", "target")]
    return [default for default in found if default.path not in rows]


def _unsaid(part: BaseModel, dumped: dict[str, Any], prefix: str) -> Iterator[Default]:
    for name, field in type(part).model_fields.items():
        alias = field.alias or name
        path, value = prefix + alias, getattr(part, name)
        if isinstance(value, BaseModel):
            yield from _unsaid(value, dumped[alias], path + ".")
        elif isinstance(value, tuple):
            for i, item in enumerate(value):
                if isinstance(item, BaseModel):
                    yield from _unsaid(item, dumped[alias][i], f"{path}.{i}.")
        elif name not in part.model_fields_set and value not in (None, {}) and not _idle(part, name):
            yield Default(path, dumped[alias])


def _idle(part: BaseModel, name: str) -> bool:
    """What has no effect: the margin of the role that a metric does not have, a design that is not used."""
    if isinstance(part, Analysis) and name in ("looks", "spending"):
        return part.method != "groupSequential"
    if isinstance(part, Live):
        return name == ("feedback_window" if part.source == "prometheus" else "scrape_interval")
    if isinstance(part, LoadTest) and (name == "users" or part.locustfile is not None):
        # What rows are sent by means nothing to users of one's own, and the other way round.
        own = ("process", "protocol", "paired", "split_share", "max_in_flight")
        return part.locustfile is None or name in own
    if isinstance(part, LoadTest) and part.arrivals is not None:
        own = ("arrival_rate", *(("max_duration",) if part.arrivals.duration is not None else ()))
        return name in own or (name == "process" and part.arrivals.trace is not None)
    if isinstance(part, Canary):
        return part.steps is not None
    return isinstance(part, Metric) and name == (
        "max_regression" if part.role == "objective" else "min_effect"
    )
