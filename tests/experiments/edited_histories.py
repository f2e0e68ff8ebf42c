"""Variations of a run, for what people see of it when it is not as it should be."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from fairtrial.judge.verdict import Verdict
from fairtrial.report.history import History


def with_observations(history: History, observations: Path) -> History:
    return dataclasses.replace(history, observations=observations)


def looking(history: History, looks: int, *, ended: bool = True) -> History:
    """The same run, cut off after some looks."""
    return dataclasses.replace(
        history, verdicts=history.verdicts[:looks], ended=history.ended if ended else None
    )


def changed(verdict: Verdict, name: str, **changes: Any) -> Verdict:
    """The verdict with one of its metrics changed."""
    metrics = (dataclasses.replace(m, **changes) if m.name == name else m for m in verdict.metrics)
    return dataclasses.replace(verdict, metrics=tuple(metrics))


def both(one: History, other: History) -> History:
    """One run with the candidates of two: their looks at the same moments, one after the other."""
    verdicts = sorted([*one.verdicts, *other.verdicts], key=lambda verdict: verdict.look)
    return dataclasses.replace(one, verdicts=verdicts)
