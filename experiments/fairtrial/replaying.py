"""A run judged again from its observations: the same looks must bring the same verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fairtrial.controller.observed import Observed
from fairtrial.journal.entries import Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.store import Journal
from fairtrial.judge.document import verdict_to_dict
from fairtrial.judge.pipeline import RULES
from fairtrial.judging import judge_stream
from fairtrial.planning.plan import Plan


@dataclass(frozen=True)
class Replay:
    """Verdict documents by look: as journalled, and as judged now."""

    run: str
    then: list[dict[str, Any]]
    now: list[dict[str, Any]]

    @property
    def rules_changed(self) -> bool:
        return any(document["versions"]["rules"] != RULES for document in self.then)

    @property
    def same(self) -> bool:
        """Whether every journalled look comes out the same, figures included."""
        return self.first_difference() is None

    def first_difference(self) -> int | None:
        """The first look that differs, counted from 1."""
        for number, (then, now) in enumerate(zip(self.then, self.now, strict=False), start=1):
            if then != now:
                return number
        return None if len(self.then) <= len(self.now) else len(self.now) + 1

    def sentences(self) -> Iterator[str]:
        if not self.then:
            yield f"run {self.run} was cut off before its first look"
            return
        if self.rules_changed:
            decided = self.then[-1]["versions"]["rules"]
            yield f"the rules have changed since: {decided} decided then, {RULES} decides now"
        difference = self.first_difference()
        if difference is None:
            yield f"{self.then[-1]['verdict']}: the same at all {len(self.then)} looks"
        elif difference > len(self.now):
            yield f"judged now, the run ends at look {len(self.now)}; it went on to look {len(self.then)}"
        else:
            then, now = self.then[difference - 1], self.now[difference - 1]
            yield f"look {difference} differs: {then['verdict']} then, {now['verdict']} now"
            yield f"the run ended in {self.then[-1]['verdict']}, and is {self.now[-1]['verdict']} now"

    def document(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "same": self.same,
            "rulesChanged": self.rules_changed,
            "firstDifference": self.first_difference(),
            "then": self.then[-1] if self.then else None,
            "now": self.now[-1] if self.now else None,
        }


def replay(folder: RunFolder, journal: Journal, plan: Plan) -> Replay:
    """Judge the run's observations again. Raises UsageError if they cannot be read."""
    then = [entry.body["verdict"] for entry in journal.entries(Kind.LOOK)]
    judged = judge_stream(plan.claims, Observed(folder, journal).recorded())
    now = [verdict_to_dict(verdict) for judgement in judged for verdict in judgement.verdicts]
    return Replay(folder.id, then, now[: max(len(then), 1)])
