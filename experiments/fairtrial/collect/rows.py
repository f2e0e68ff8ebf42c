"""Rows to and from a database as one JSON text each way.

One statement takes a whole batch, and one row brings a whole answer. That saves a round trip for each row,
and with SQLite the interpreter's lock, which its driver gives up and takes again at every row: under load
that costs more than all else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import JSON, Column, Connection, SelectBase, Text, bindparam, cast, column, func, select
from sqlalchemy.sql.selectable import FromClause

#: Name of the parameter that rows are bound to.
ROWS = "rows"


def bound(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The parameter of a statement that reads from `incoming`."""
    return {ROWS: orjson.dumps(rows).decode()}


def incoming(connection: Connection, columns: Sequence[Column[Any]]) -> FromClause:
    """A table of the rows that are bound, with these columns."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(bindparam(ROWS, type_=Text)).table_valued("value")
        picked = [func.json_extract(each.c.value, f"$.{c.name}", type_=c.type).label(c.name) for c in columns]
        return select(*picked).select_from(each).subquery("incoming")
    rows = func.json_to_recordset(cast(bindparam(ROWS, type_=Text), JSON))
    return rows.table_valued(*(column(c.name, c.type) for c in columns)).render_derived(
        name="incoming", with_types=True
    )


def fetch(
    connection: Connection, query: SelectBase, parameters: Mapping[str, Any] | None = None
) -> list[Any]:
    """The rows of a query, a list of values each."""
    part = query.subquery("part")
    if connection.dialect.name == "sqlite":
        whole = select(func.json_group_array(func.json_array(*part.c)))
    else:
        whole = select(cast(func.json_agg(func.json_build_array(*part.c)), Text))
    text = connection.execute(whole, dict(parameters or {})).scalar_one()
    return orjson.loads(text) if text else []
