"""A run's journal in the status of its resource: it needs no volume, and survives the pod.

A resource has room for a megabyte, so that only what a run is resumed from is kept: of loads that were begun
again the last, and of looks that only went on how many there were. The looks themselves follow from the
observations, and these, where they are of users, from which split was in force when: every shift is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from fairtrial.journal.entries import Effect, Entry, Kind
from fairtrial.operator.record import Record

#: Made at every restart; of each only the last counts.
_REPEATED = (Effect.LOAD, Effect.STOP_LOAD)
_MOST_INCIDENTS = 20


class StatusJournal:
    """Implements `RunJournal`. Every entry is written before `append` returns, but for looks, incidents and
    what was told.

    These go with the next entry that is, or when the record is written for their sake.
    """

    def __init__(
        self, record: Record, now: Callable[[], float], entered: Callable[[Entry], None] = lambda _: None
    ) -> None:
        """entered: told of each new entry, before it is written."""
        self._record = record
        self._now = now
        self._entered = entered
        self._entries = [_entry(raw) for raw in record.status.get("journal") or ()]

    def append(
        self, kind: Kind, body: Mapping[str, Any] | None = None, *, effect: Effect | None = None
    ) -> int:
        """See `RunJournal`. Raises as `Record.write` does."""
        seq = self._entries[-1].seq + 1 if self._entries else 1
        entry = Entry(seq, self._now(), kind, effect, _kept(kind, body or {}))
        if kind is Kind.LOOK and self._is_old(entry):
            return seq
        self._entries = _compacted([*self._entries, entry])
        self._entered(Entry(seq, entry.time, kind, effect, dict(body or {})))
        self._record.set(journal=[_raw(each) for each in self._entries])
        if kind not in (Kind.LOOK, Kind.INCIDENT, Kind.TOLD):
            self._record.write()
        return seq

    def entries(self, *kinds: Kind, after: int = 0) -> list[Entry]:
        """See `RunJournal`."""
        return [each for each in self._entries if each.seq > after and (not kinds or each.kind in kinds)]

    def last(self, kind: Kind) -> Entry | None:
        return next((each for each in reversed(self._entries) if each.kind is kind), None)

    def close(self) -> None:
        """Nothing is open."""

    def _is_old(self, entry: Entry) -> bool:
        """Whether an earlier process had judged so far, and the run only catches up."""
        return any(
            each.kind is Kind.LOOK and _of(each) == _of(entry) and each.body["look"] >= entry.body["look"]
            for each in self._entries
        )


def _kept(kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
    """Of a look, what it is compared by when it is judged again; of a split no words for people."""
    if kind is not Kind.LOOK:
        return {name: value for name, value in body.items() if name != "split"}
    verdict = {name: body["verdict"][name] for name in ("verdict", "candidate")}
    return {"look": body["look"], "verdict": verdict}


def _of(look: Entry) -> str:
    return look.body["verdict"]["candidate"]


def _compacted(entries: list[Entry]) -> list[Entry]:
    latest = entries[-1]
    if latest.kind is Kind.LOOK:
        return [e for e in entries if e.kind is not Kind.LOOK or _of(e) != _of(latest) or e is latest]
    if latest.kind is Kind.INCIDENT:
        told = [e for e in entries if e.kind is Kind.INCIDENT]
        return [e for e in entries if e.kind is not Kind.INCIDENT or e in told[-_MOST_INCIDENTS:]]
    if latest.kind is Kind.TOLD:
        return [
            e for e in entries if e.kind is not Kind.TOLD or e.body["to"] != latest.body["to"] or e is latest
        ]
    if latest.effect in _REPEATED:
        return [
            e for e in entries if e.kind is not latest.kind or e.effect is not latest.effect or e is latest
        ]
    return entries


def _raw(entry: Entry) -> dict[str, Any]:
    effect = {"effect": entry.effect.value} if entry.effect else {}
    # As text: a merge patch takes every null out of what it is given.
    body = {"text": json.dumps(entry.body)} if entry.kind is Kind.VERDICT else entry.body
    return {
        "seq": entry.seq,
        "time": entry.time,
        "kind": entry.kind.value,
        **effect,
        **({"body": body} if body else {}),
    }


def _entry(raw: Mapping[str, Any]) -> Entry:
    effect = Effect(raw["effect"]) if "effect" in raw else None
    body = dict(raw.get("body") or {})
    if raw["kind"] == Kind.VERDICT:
        body = json.loads(body["text"])
    return Entry(raw["seq"], float(raw["time"]), Kind(raw["kind"]), effect, body)
