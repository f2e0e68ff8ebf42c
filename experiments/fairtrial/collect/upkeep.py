"""What a collector does beside collecting: it says that it lives, notes gaps, forgets the old.

Times are microseconds since the epoch.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table, delete, select

from fairtrial.collect.store import insert_into
from fairtrial.collect.tables import COLLECTORS, EXCHANGES, FEEDBACK, GAPS

#: A collector that has said nothing for so long is gone.
_SILENT = 15_000_000  # microseconds
_MOST = 5000  # rows that are let go of at a time


def say_alive(connection: Connection, name: str, now: int) -> None:
    """Events are taken, at this moment."""
    statement = insert_into(connection, COLLECTORS).values(name=name, alive=now)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"alive": statement.excluded["alive"]})
    )


def note_gap(connection: Connection, start: int, end: int) -> None:
    """Between these times events may have been refused."""
    connection.execute(insert_into(connection, GAPS).values(start=start, end=end).on_conflict_do_nothing())


def bury(connection: Connection, now: int, *, itself: str | None = None) -> None:
    """Note the gaps that collectors have left which are gone: whatever was on its way to them is lost.

    itself: the one that starts, whose own earlier life is over however short ago that was. A gap lasts until
    the others were without the lost one, or until now if there was no other.
    """
    known = [(row.name, row.alive) for row in connection.execute(select(COLLECTORS))]
    gone = [(name, alive) for name, alive in known if name == itself or alive < now - _SILENT]
    others = len(known) > len(gone)
    for name, alive in gone:
        note_gap(connection, alive, min(now, alive + _SILENT) if others else now)
        connection.execute(delete(COLLECTORS).where(COLLECTORS.c.name == name, COLLECTORS.c.alive == alive))


def let_go(connection: Connection, before: int) -> bool:
    """Delete some of what came here before this time. Returns whether there may be more."""
    more = [_delete_some(connection, table, before) for table in (EXCHANGES, FEEDBACK)]
    connection.execute(delete(GAPS).where(GAPS.c.end < before))
    return any(more)


def _delete_some(connection: Connection, table: Table, before: int) -> bool:
    received = table.c.received
    at_most = select(received).where(received < before).order_by(received).offset(_MOST - 1).limit(1)
    latest = connection.execute(at_most).scalar()
    connection.execute(delete(table).where(received < before if latest is None else received <= latest))
    return latest is not None
