"""What is given out: each observation once it is due, numbered for ever in the order it was given.

An observation is due when its grace is over: the time in which its answer, its truth or its reward may come.
Then it gets a number and is closed. Whoever reads again from the same number reads the same, whatever came
since; and because what is due goes out in order of the time of asking, so do the numbers, but for events that
came later than the grace allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, and_, select, true, update

from fairtrial.collect.rows import bound, fetch, incoming
from fairtrial.collect.store import insert_into
from fairtrial.collect.tables import DEPLOYMENTS, EXCHANGES, FEEDBACK, GAPS

_KEY = ("request_id", "arm", "deployment")
#: Columns of what is given out.
GIVEN = (
    "sequence", "request_id", "arm", "asked", "unit", "answered", "status", "prediction", "form", "reward",
    "truth",
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What a reader asks for."""

    deployment: str  # namespace/name
    after: int = 0  # the last number that it has
    since: int = 0  # requests asked from then on, microseconds since the epoch
    grace: int = 10_000_000  # microseconds from asking until an observation is closed
    limit: int = 5000


@dataclass(frozen=True)
class Given:
    """Rows with the columns `GIVEN`, in order of their number."""

    rows: Sequence[Sequence[Any]]
    cursor: int  # the number to go on after
    until: int  # microseconds since the epoch; what was asked before and is known by now has been given out


class NeverGiven(ValueError):
    """The reader has a number that this store has not come to."""


def give(connection: Connection, wanted: Wanted, now: int) -> Given:
    """Number what is due, and give out what comes after the reader's number.

    now: microseconds since the epoch. Raises NeverGiven.
    """
    closed = _close(connection, wanted, now)
    query = (
        select(*(EXCHANGES.c[name] for name in GIVEN))
        .where(
            EXCHANGES.c.deployment == wanted.deployment,
            EXCHANGES.c.sequence > wanted.after,
            EXCHANGES.c.asked >= wanted.since,
        )
        .order_by(EXCHANGES.c.sequence)
        .limit(wanted.limit)
    )
    rows = sorted(fetch(connection, query), key=itemgetter(0))
    if not rows and wanted.after:
        last = select(DEPLOYMENTS.c.last).where(DEPLOYMENTS.c.deployment == wanted.deployment)
        if wanted.after > (connection.execute(last).scalar() or 0):
            raise NeverGiven(
                f"observation {wanted.after} of {wanted.deployment} was never given out: this is another "
                "store than the one that was read from"
            )
    cursor = rows[-1][0] if rows else wanted.after
    whole = closed < wanted.limit and len(rows) < wanted.limit
    until = now - wanted.grace if whole else (rows[-1][3] if rows else wanted.since)
    return Given(rows, cursor, until)


def _close(connection: Connection, wanted: Wanted, now: int) -> int:
    """Number what is due, as far as the limit goes. Returns how many were closed."""
    due = and_(
        EXCHANGES.c.deployment == wanted.deployment,
        EXCHANGES.c.sequence.is_(None),
        EXCHANGES.c.asked >= wanted.since,
        EXCHANGES.c.asked <= now - wanted.grace,
    )
    if connection.execute(select(EXCHANGES.c.asked).where(due).limit(1)).first() is None:
        return 0
    last = _lock(connection, wanted.deployment)
    query = (
        select(*(EXCHANGES.c[name] for name in (*_KEY, "asked", "answered")))
        .where(due)
        .order_by(EXCHANGES.c.asked, EXCHANGES.c.request_id, EXCHANGES.c.arm)
        .limit(wanted.limit)
    )
    if connection.dialect.name == "sqlite":
        found: Sequence[Sequence[Any]] = fetch(connection, query)
    else:
        found = [tuple(row) for row in connection.execute(query.with_for_update())]
    gaps = fetch(connection, select(GAPS.c.start, GAPS.c.end))
    rows: list[dict[str, Any]] = []
    for *key, asked, answered in sorted(found, key=lambda row: (row[3], row[0], row[1])):
        lost = answered is None and any(asked <= end and start <= asked + wanted.grace for start, end in gaps)
        last += not lost
        rows.append({**dict(zip(_KEY, key, strict=True)), "sequence": 0 if lost else last})
    if not rows:
        return 0
    _number(connection, rows)
    connection.execute(
        update(DEPLOYMENTS).where(DEPLOYMENTS.c.deployment == wanted.deployment).values(last=last)
    )
    return len(rows)


def _number(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Write the numbers, and what is known of each request by now."""
    source = incoming(connection, [EXCHANGES.c[name] for name in (*_KEY, "sequence")])
    known = (
        select(*(source.c[name] for name in (*_KEY, "sequence")), FEEDBACK.c.reward, FEEDBACK.c.truth)
        .select_from(source.outerjoin(FEEDBACK, FEEDBACK.c.request_id == source.c.request_id))
        .where(true())
        .subquery("known")
    )
    connection.execute(
        update(EXCHANGES)
        .where(*(EXCHANGES.c[name] == known.c[name] for name in _KEY), EXCHANGES.c.sequence.is_(None))
        .values({name: known.c[name] for name in ("sequence", "reward", "truth")}),
        bound(rows),
    )


def _lock(connection: Connection, deployment: str) -> int:
    """The last number of a deployment, which nobody else raises until the transaction ends."""
    connection.execute(
        insert_into(connection, DEPLOYMENTS)
        .values(deployment=deployment, last=0)
        .on_conflict_do_nothing(index_elements=["deployment"])
    )
    query = select(DEPLOYMENTS.c.last).where(DEPLOYMENTS.c.deployment == deployment)
    return int(connection.execute(query.with_for_update()).scalar_one())
