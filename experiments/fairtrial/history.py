"""What a run's folder says of it, for the report and for explanations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairtrial.experiment.quantities import format_duration
from fairtrial.journal.entries import Effect, Entry, Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.store import Journal
from fairtrial.judge.document import verdict_from_dict
from fairtrial.judge.verdict import Verdict
from fairtrial.planning.words import in_words
from fairtrial.report.history import Event, History, Shift

_DONE = {
    Effect.DEPLOY: "deployed",
    Effect.SHIFT: "shifted",
    Effect.SWITCH: "switched",
    Effect.PROMOTE: "promoted",
    Effect.ROLLBACK: "rolledBack",
    Effect.HOLD: "held",
    Effect.REGISTER: "registered",
}
_NOTES = {
    Kind.AWAITS_APPROVAL: ("held", "the promotion waits for somebody's approval"),
    Kind.ABORT: ("aborted", "somebody asked for the run to end"),
    Kind.INTERRUPTED: ("interrupted", "the controller was told to stop"),
    Kind.RESUMED: ("resumed", "the run was taken up again"),
}


def history_of(folder: RunFolder, journal: Journal) -> History:
    """Everything the report shows. The run may still be going on, or have been cut off."""
    entries = journal.entries()
    started = entries[0]
    ended = next((entry.time for entry in reversed(entries) if entry.kind is Kind.ENDED), None)
    source = f"{started.body['folder']}/{started.body['experiment']}"
    return History(
        run_id=folder.id,
        experiment_name=started.body["name"],
        experiment_text=folder.experiment.read_text(encoding="utf-8"),
        started=started.time,
        ended=ended,
        verdicts=_verdicts(entries),
        events=[event for entry in entries if (event := _event(entry)) is not None],
        manifest=folder.manifest.read_text(encoding="utf-8"),
        reproduce=list(_reproduce(source, folder, started.body)),
        versions=started.body["versions"],
        observations=folder.observations,
        load=_load_summary(folder.observations),
        shifts=[shift for entry in entries if (shift := _shift(entry)) is not None],
    )


def _reproduce(source: str, folder: RunFolder, started: Mapping[str, Any]) -> Iterator[str]:
    said = [f"--against {arm}={url}" for arm, url in started.get("against", {}).items()]
    if "stored" in started:
        said.append(f"--baseline-run {started['stored']['run']} --baseline-arm {started['stored']['arm']}")
    if "budget" in started:
        said.append(f"--budget {format_duration(started['budget'])}")
    yield " ".join([f"fairtrial run {source}", *said])
    yield f"fairtrial replay {folder.path}"
    if not {"stored", "budget"} & started.keys():  # its observations alone, or its file, do not say it all
        yield f"fairtrial judge {source} --data {folder.observations}"


def _verdicts(entries: Sequence[Entry]) -> list[Verdict]:
    """Those of the looks; the one that speaks for the run as it was in the end, selected from several."""
    found = [verdict_from_dict(entry.body["verdict"]) for entry in entries if entry.kind is Kind.LOOK]
    final = next((verdict_from_dict(e.body) for e in reversed(entries) if e.kind is Kind.VERDICT), None)
    if final is not None:
        at = max(i for i, verdict in enumerate(found) if verdict.candidate == final.candidate)
        found[at] = final
    return found


def _event(entry: Entry) -> Event | None:
    if entry.kind is Kind.DONE and entry.effect is not None and entry.effect in _DONE:
        outcome = entry.body.get("outcome")
        words = outcome or f"traffic: {entry.body.get('split') or in_words(entry.body['weights'])}"
        return Event(entry.time, _DONE[entry.effect], words)
    if entry.kind in (Kind.INCIDENT, Kind.FAILED):
        return Event(entry.time, "incident", entry.body["message"])
    if entry.kind is Kind.APPROVED:
        return Event(entry.time, "approved", f"{entry.body['by']} approved the promotion")
    if entry.kind in (Kind.AWAITS_WINDOW, Kind.HELD):
        return Event(entry.time, "held", _held(entry))
    if entry.kind in _NOTES:
        return Event(entry.time, *_NOTES[entry.kind])
    return None


def _held(entry: Entry) -> str:
    reason = str(entry.body["reason"])
    return f"the next step waits: {reason}" if entry.kind is Kind.HELD else reason


def _shift(entry: Entry) -> Shift | None:
    if entry.kind is not Kind.DONE or entry.effect not in (Effect.DEPLOY, Effect.SHIFT, Effect.SWITCH):
        return None
    weights = {arm: percent / 100 for arm, percent in entry.body["weights"].items()}
    return Shift(entry.time, entry.body["revision"], weights)


def notes_of_load(folder: RunFolder) -> list[str]:
    """What a verdict must say of the load that it rests on: that it fell behind its schedule, if it did."""
    behind = _load_summary(folder.observations).get("behind")
    return [behind] if behind else []


def _load_summary(observations: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((observations / "load.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
