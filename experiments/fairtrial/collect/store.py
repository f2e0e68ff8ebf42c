"""The evidence store: exchanges filled in as their halves come, and what was later known of them.

Everything can be told twice, and by several collectors at once: an exchange keeps its earliest request and
its latest answer, whatever the order in which they come, and a reward or truth the first that was told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, case, func, or_, select, true
from sqlalchemy.dialects import postgresql, sqlite

from fairtrial.collect.events import Feedback, Half
from fairtrial.collect.rows import bound, fetch, incoming
from fairtrial.collect.tables import EXCHANGES, FEEDBACK

_KEY = ("request_id", "arm", "deployment")
_OF_REQUEST = ("asked", "unit")
_OF_RESPONSE = ("answered", "status", "prediction", "form")
_HALVES = (*_KEY, *_OF_REQUEST, *_OF_RESPONSE, "received")
_NOTES = ("request_id", "reward", "truth", "received")


class Fate(StrEnum):
    """What became of a feedback."""

    COUNTED = "counted"  # it is with its request
    KEPT = "kept"  # no such request is known yet
    LATE = "late"  # the request was given out without it
    ANOTHER = "another"  # another value was told before, which stays


@dataclass(frozen=True, slots=True)
class Told:
    """What a feedback is answered."""

    request_id: str
    fate: Fate


def insert_into(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that can say what to do on a conflict."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def add_halves(connection: Connection, halves: Iterable[Half], now: int) -> None:
    """Fill in what is not given out yet. now: microseconds since the epoch."""
    rows = _merged(halves, now)
    if not rows:
        return
    source = incoming(connection, [EXCHANGES.c[name] for name in _HALVES])
    statement = insert_into(connection, EXCHANGES).from_select(
        list(_HALVES),
        # Without a condition SQLite takes the ON of a conflict for that of a join. The order of keys is that
        # in which rows are locked: collectors that write the same ones at once must not wait for each other.
        select(*(source.c[name] for name in _HALVES))
        .where(true())
        .order_by(*(source.c[name] for name in _KEY)),
    )
    new = statement.excluded
    earlier = or_(EXCHANGES.c.asked.is_(None), new.asked < EXCHANGES.c.asked)
    later = or_(EXCHANGES.c.answered.is_(None), new.answered > EXCHANGES.c.answered)
    changes = {name: _taken(earlier, name, new) for name in _OF_REQUEST}
    changes |= {name: _taken(later, name, new) for name in _OF_RESPONSE}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(_KEY),
            set_=changes,
            where=and_(EXCHANGES.c.sequence.is_(None), or_(earlier, later)),
        ),
        bound(rows),
    )


def add_feedback(connection: Connection, told: Sequence[Feedback], now: int) -> list[Told]:
    """Keep what was told, and say of each what became of it, in their order."""
    if not told:
        return []
    known = _known(connection, sorted({each.request_id for each in told}))
    fresh: dict[str, dict[str, Any]] = {}
    for each in told:
        exchanges = known.get(each.request_id, [])
        if exchanges and all(given for given, _, _ in exchanges):
            continue  # it was given out as it is
        row = fresh.setdefault(
            each.request_id, {"request_id": each.request_id, "reward": None, "truth": None, "received": now}
        )
        for name, value in (("reward", each.reward), ("truth", each.truth)):
            row[name] = value if row[name] is None else row[name]
    stored = _store(connection, [fresh[key] for key in sorted(fresh)])
    return [_fate(each, known.get(each.request_id, []), stored) for each in told]


def _known(connection: Connection, ids: Sequence[str]) -> dict[str, list[tuple[bool, Any, Any]]]:
    """Of each id its exchanges: whether it was given out, and with which reward and truth."""
    source = incoming(connection, [EXCHANGES.c.request_id])
    parameters = bound([{"request_id": each} for each in ids])
    wanted = EXCHANGES.c.request_id.in_(select(source.c.request_id))
    if connection.dialect.name != "sqlite":
        # Nobody numbers them meanwhile: what is said to be counted is.
        lock = select(EXCHANGES.c.request_id).where(wanted).order_by(*(EXCHANGES.c[name] for name in _KEY))
        connection.execute(lock.with_for_update(), parameters).all()
    query = select(EXCHANGES.c.request_id, EXCHANGES.c.sequence, EXCHANGES.c.reward, EXCHANGES.c.truth).where(
        wanted
    )
    found: dict[str, list[tuple[bool, Any, Any]]] = {}
    for request_id, sequence, reward, truth in fetch(connection, query, parameters):
        found.setdefault(request_id, []).append((sequence is not None, reward, truth))
    return found


def _store(connection: Connection, rows: list[dict[str, Any]]) -> dict[str, tuple[Any, Any]]:
    """Of each row's id the reward and truth that stand now."""
    if not rows:
        return {}
    source = incoming(connection, [FEEDBACK.c[name] for name in _NOTES])
    statement = insert_into(connection, FEEDBACK).from_select(
        list(_NOTES),
        select(*(source.c[name] for name in _NOTES)).where(true()).order_by(source.c.request_id),
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["request_id"],
            set_={
                name: func.coalesce(FEEDBACK.c[name], statement.excluded[name])
                for name in ("reward", "truth")
            },
        ),
        bound(rows),
    )
    wanted = incoming(connection, [FEEDBACK.c.request_id])
    query = select(FEEDBACK.c.request_id, FEEDBACK.c.reward, FEEDBACK.c.truth).where(
        FEEDBACK.c.request_id.in_(select(wanted.c.request_id))
    )
    found = fetch(connection, query, bound(rows))
    return {request_id: (reward, truth) for request_id, reward, truth in found}


def _fate(told: Feedback, exchanges: list[tuple[bool, Any, Any]], stored: dict[str, tuple[Any, Any]]) -> Told:
    stands = stored.get(told.request_id)
    late = stands is None
    if stands is None:
        _, reward, truth = exchanges[0]
        stands = (reward, truth)
    same = [
        stood == value
        for stood, value in zip(stands, (told.reward, told.truth), strict=True)
        if value is not None
    ]
    if all(same):
        return Told(told.request_id, Fate.COUNTED if exchanges else Fate.KEPT)
    return Told(told.request_id, Fate.LATE if late else Fate.ANOTHER)


def _merged(halves: Iterable[Half], now: int) -> list[dict[str, Any]]:
    """One row a request of an arm, in order of the key: a statement may touch a row once only."""
    merged: dict[tuple[str, str, str], dict[str, Any]] = {}
    for half in halves:
        key = (half.request_id, half.arm, half.deployment)
        row = merged.get(key)
        if row is None:
            row = merged[key] = dict.fromkeys(_HALVES)
            row |= {**dict(zip(_KEY, key, strict=True)), "received": now}
        if half.asked is not None and (row["asked"] is None or half.asked < row["asked"]):
            row |= {name: getattr(half, name) for name in _OF_REQUEST}
        if half.answered is not None and (row["answered"] is None or half.answered > row["answered"]):
            row |= {name: getattr(half, name) for name in _OF_RESPONSE}
    return [merged[key] for key in sorted(merged)]


def _taken(which: ColumnElement[bool], name: str, new: Any) -> ColumnElement[Any]:
    return case((which, new[name]), else_=EXCHANGES.c[name])
