"""A run as its resource shows it: what the controller tells becomes status and Events."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from fairtrial.experiment.standing import Phase
from fairtrial.journal.entries import Effect, Entry, Kind
from fairtrial.judge.document import verdict_to_dict
from fairtrial.judge.verdict import Verdict
from fairtrial.operator.events import Events
from fairtrial.operator.record import Record
from fairtrial.planning.plan import Plan
from fairtrial.report.history import Event
from fairtrial.versions import versions

#: Looked up once, not for each of hundreds of runs.
_versions = functools.cache(versions)
#: Why, in one word, of what the controller tells.
_REASONS = {
    "deployed": "Deployed",
    "shifted": "Shifted",
    "incident": "Incident",
    "registered": "Registered",
    Effect.SWITCH.value: "Switched",
}


class ResourceView:
    """Implements `Console`. Its looks reach the API server every so often, its effects with the journal."""

    def __init__(self, plan: Plan, record: Record, events: Events, look_every: float) -> None:
        """look_every: seconds between two times that looks alone are written."""
        self._plan = plan
        self._record = record
        self._events = events
        self._look_every = look_every
        self._seq = 0
        self._versions = _versions()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace

    def phase(self, message: str) -> None:
        """What the run is doing: goes with the next thing that is written."""
        self._record.set(message=message)

    def event(self, event: Event) -> None:
        """Told once, however often the effect is made again after a restart. The end is told by itself."""
        if event.kind not in _REASONS:
            return
        kind = "Warning" if event.kind == "incident" else "Normal"
        once = f"{self._record.status['run']['id']}/{event.message}"
        reason, resource = _REASONS[event.kind], self._record.resource
        self._events.tell(resource, reason, event.message, kind=kind, once=once)

    def look(self, verdict: Verdict, weights: Mapping[str, float]) -> None:
        del weights  # they are of the last effect
        self._record.set(
            verdict=verdict_to_dict(verdict, self._versions),
            message=verdict.reasons[0] if verdict.reasons else f"look {verdict.look}",
        )
        self._record.write_if_due(self._look_every)

    def final(self, verdict: Verdict | None, run_folder: Path) -> None:
        """The end is the run's to tell."""
        del verdict, run_folder

    def entered(self, entry: Entry) -> None:
        """Of each entry of the journal, what it means for users."""
        if entry.kind is Kind.VERDICT:
            self._record.set(verdict=entry.body)
        if entry.kind is Kind.INTENDED and entry.effect is Effect.DEPLOY:
            self._record.set(phase=Phase.DEPLOYING.value)
        if entry.kind is not Kind.DONE:
            return
        if entry.effect is Effect.DEPLOY:
            self._record.set(phase=Phase.RUNNING.value)
            self._record.condition("Serving", True, "Ready", "the arms are ready")
        if "weights" in entry.body:
            self._show(entry.body["weights"], entry.body.get("revision"))

    def at_rest(self, arm: str) -> None:
        """One arm has all the traffic."""
        self._show({arm: 100}, None)

    def _show(self, weights: Mapping[str, int], revision: str | None) -> None:
        self._record.set(
            weights=dict(weights),
            split=", ".join(f"{arm} {percent}" for arm, percent in weights.items()),
            step=self._step(revision),
        )

    def _step(self, revision: str | None) -> str | None:
        """None for a bandit, whose divisions follow no order."""
        if self._plan.experiment.spec.strategy.bandit is not None:
            return None
        steps = [step.revision for step in self._plan.steps]
        if revision not in steps:
            return self._record.status.get("step")
        return f"{steps.index(revision) + 1}/{len(steps)}"
