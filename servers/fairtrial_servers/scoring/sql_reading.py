"""Rows of a SQL table, in the order of its key, a page at a time.

Each page is a query of its own that starts behind the last key, so that no cursor is open while the output,
maybe in the same database, is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sql
from sqlalchemy import exc

from fairtrial_servers.scoring.arrow import Batch
from fairtrial_servers.scoring.databases import arrow_type, connect, database_words, table_of
from fairtrial_servers.scoring.errors import ScoreError, first_line
from fairtrial_servers.scoring.options import Location


class SqlSource:
    verbatim = False

    def __init__(self, where: Location) -> None:
        """Raises ScoreError if the table is not there, or nothing orders its rows."""
        self.name = where.name
        self._engine = connect(where)
        self._table = table_of(self._engine, where)
        self._key = self._ordering(where.key)
        self._kinds = {column.name: arrow_type(column.type) for column in self._table.columns}
        self.schema = pa.schema([(name, kind or pa.string()) for name, kind in self._kinds.items()])
        self._print = self.fingerprint()
        self.rows = int(str(self._print["rows"]))

    def expect(self, numbers: Sequence[str], texts: Sequence[str], features: Sequence[str]) -> None:
        del numbers, texts, features  # the table says what it holds

    def share_read(self) -> None:
        return None

    def fingerprint(self) -> Mapping[str, object]:
        """The number of rows, and the first and the last key: a changed cell is not seen."""
        ends = [bound(column) for column in self._key for bound in (sql.func.min, sql.func.max)]
        count, *found = self._rows_of(sql.select(sql.func.count(), *ends).select_from(self._table))[0]
        return {"rows": count, "keys": [str(value) for value in found]}

    def batches(self, rows: int, skip: int, columns: Sequence[str] | None = None) -> Iterator[Batch]:
        names = list(columns) if columns is not None else self.schema.names
        wanted = [self._selected(name) for name in names]
        last: Any = None
        while True:
            query = sql.select(*wanted, *self._key).order_by(*self._key).limit(rows)
            query = query.offset(skip) if last is None else query.where(self._behind(last))
            found = self._rows_of(query)
            if found:
                last = found[-1][len(wanted) :]
                yield self._batch(names, found)
            if len(found) < rows:
                return

    def _batch(self, names: list[str], found: Sequence[Any]) -> Batch:
        arrays: list[Any] = []
        for name, values in zip(names, zip(*found, strict=True), strict=False):
            try:
                arrays.append(pa.array(values, self.schema.field(name).type, from_pandas=False))
            except (pa.ArrowException, OverflowError, TypeError) as error:
                raise ScoreError(f'{self.name}, column "{name}": {first_line(error)}') from error
        return pa.RecordBatch.from_arrays(arrays, names=names)

    def _selected(self, name: str) -> Any:
        column = self._table.columns[name]
        if isinstance(column.type, sql.Numeric) and not isinstance(column.type, sql.Float):
            return sql.cast(column, sql.Double()).label(name)
        return column if self._kinds[name] is not None else sql.cast(column, sql.Text()).label(name)

    def _behind(self, last: Sequence[Any]) -> Any:
        """Rows after a key of several columns, in words that every database knows."""
        return sql.or_(
            *(
                sql.and_(*(self._key[at] == last[at] for at in range(index)), self._key[index] > last[index])
                for index in range(len(self._key))
            )
        )

    def _ordering(self, said: str | None) -> list[Any]:
        key = [column for column in self._table.primary_key.columns]
        if said is None:
            if not key:
                raise ScoreError(
                    f"{self.name} has no primary key, so nothing puts its rows in order: add &key=COLUMN to "
                    f"the address, a column of which no two rows have the same value"
                )
            return key
        if said not in self._table.columns:
            raise ScoreError(f"{self.name} has no column {said}, which is said to be its key")
        column = self._table.columns[said]
        if [each.name for each in key] != [said]:
            query = sql.select(sql.func.count(), sql.func.count(sql.distinct(column))).select_from(
                self._table
            )
            rows, different = self._rows_of(query)[0]
            if rows != different:
                raise ScoreError(
                    f"{self.name}: column {said} is empty or the same in some rows, so it is no key"
                )
        return [column]

    def _rows_of(self, query: Any) -> Sequence[Any]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(query).all()
        except (exc.SQLAlchemyError, ValueError) as error:
            raise ScoreError(f"{self.name}: {database_words(error)}") from error
