"""What is told of a run, made from its journal alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fairtrial.experiment.model import Experiment
from fairtrial.experiment.notifications import EventName
from fairtrial.journal.entries import Effect, Entry, Kind
from fairtrial.planning.words import in_words

_OF_EFFECT: dict[Effect, EventName] = {
    Effect.SHIFT: "step",
    Effect.SWITCH: "step",
    Effect.PROMOTE: "promoted",
    Effect.ROLLBACK: "rolledBack",
    Effect.HOLD: "held",
}
_OF_KIND: dict[Kind, EventName] = {
    Kind.STARTED: "started",
    Kind.HELD: "held",
    Kind.AWAITS_APPROVAL: "held",
    Kind.AWAITS_WINDOW: "held",
    Kind.VERDICT: "verdict",
    Kind.FAILED: "failed",
}
_IN_WORDS: dict[EventName, str] = {
    "started": "started",
    "step": "next step",
    "verdict": "verdict",
    "promoted": "promoted",
    "rolledBack": "rolled back",
    "held": "held",
    "failed": "failed",
}


@dataclass(frozen=True)
class Message:
    """One turn of a run or a pipeline. The id is the same whenever it is told: a second time shows."""

    id: str
    event: str
    run: str
    experiment: str
    headline: str  # "verdict", "rolled back"
    time: float  # seconds since the epoch
    text: str
    details: dict[str, Any]

    @property
    def title(self) -> str:
        return f"{self.experiment}: {self.headline}"

    def as_json(self) -> dict[str, Any]:
        """The body of a webhook, as docs/notifications.md has it."""
        return {
            "id": self.id,
            "event": self.event,
            "run": self.run,
            "experiment": self.experiment,
            "time": datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds"),
            "title": self.title,
            "text": self.text,
            "details": self.details,
        }


def event_of(entry: Entry) -> EventName | None:
    """Which turn of a run an entry of its journal is; None for the others."""
    if entry.kind is Kind.DONE and entry.effect is not None:
        return _OF_EFFECT.get(entry.effect)
    return _OF_KIND.get(entry.kind)


def message_of(entry: Entry, event: EventName, experiment: Experiment, run: str) -> Message:
    text, details = _told(entry, event, experiment)
    name = experiment.metadata.name
    return Message(f"{run}/{entry.seq}", event, run, name, _IN_WORDS[event], entry.time, text, details)


def _told(entry: Entry, event: EventName, experiment: Experiment) -> tuple[str, dict[str, Any]]:
    body = entry.body
    if event == "started":
        baseline = experiment.spec.baseline.name
        candidates = [candidate.name for candidate in experiment.spec.candidates]
        details = {"baseline": baseline, "candidates": candidates}
        return f"{' and '.join(candidates)} on trial against {baseline}", details
    if event == "verdict":
        details = {key: body[key] for key in ("verdict", "baseline", "candidate", "reasons")}
        head = f"{body['verdict']}: {body['candidate']} against {body['baseline']}"
        return "\n".join([head, *body["reasons"]]), details
    if event == "failed":
        return body["message"], {}
    if entry.kind in (Kind.HELD, Kind.AWAITS_APPROVAL, Kind.AWAITS_WINDOW):
        return str(body["reason"]), {}
    text = body.get("outcome") or f"traffic: {body.get('split') or in_words(body['weights'])}"
    return text, {"weights": body["weights"]} if "weights" in body else {}
