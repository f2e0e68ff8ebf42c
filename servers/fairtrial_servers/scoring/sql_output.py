"""Output to a SQL table. Each batch is one transaction, and the mark of how far it goes is part of it.

Rows go to TABLE__scoring, which is renamed to TABLE when the last is in it. The marks are in the table
fairtrial_scoring: one row for each output, with what job it is of, and the number of rows that are written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import sqlalchemy as sql
from sqlalchemy import exc

from fairtrial_servers.scoring.arrow import Batch, Schema
from fairtrial_servers.scoring.databases import connect, database_words, sql_type
from fairtrial_servers.scoring.errors import ScoreError
from fairtrial_servers.scoring.lock import Lock
from fairtrial_servers.scoring.options import Location
from fairtrial_servers.scoring.resuming import Identity, Standing, check_same


class SqlOutput:
    """See `resuming.Output`."""

    def __init__(self, where: Location) -> None:
        self.name = where.name
        self._engine = connect(where)
        schema, _, self._final = where.table.rpartition(".")
        self._schema = schema or None
        self._partial = f"{self._final}__scoring"
        self._marks = sql.Table(
            "fairtrial_scoring",
            sql.MetaData(),
            sql.Column("output", sql.String(255), primary_key=True),
            sql.Column("job", sql.Text, nullable=False),
            sql.Column("layout", sql.Text),
            sql.Column("written", sql.BigInteger, nullable=False),
            sql.Column("without", sql.BigInteger, nullable=False),
            sql.Column("complete", sql.Boolean, nullable=False),
            sql.Column("writer", sql.String(64), nullable=False),
            schema=self._schema,
        )
        self._me = uuid4().hex
        self._written = 0
        self._layout: Schema | None = None
        self._table: Any = None
        self._predictions: Batch | None = None
        self._lock: Lock | None = None
        self._session: Any = None
        self._exclude_others()

    def stand(self, identity: Identity, *, restart: bool) -> Standing:
        with self._transaction() as connection:
            self._marks.create(connection, checkfirst=True)
            mark = connection.execute(sql.select(self._marks).where(self._mine())).one_or_none()
            if restart and mark is not None:
                self._drop(connection, self._partial)
                connection.execute(sql.delete(self._marks).where(self._mine()))
                mark = None
            if mark is not None:
                check_same(self.name, json.loads(mark.job), identity)
                if mark.complete:
                    return Standing(mark.written, mark.written, complete=True, without=mark.without)
                connection.execute(sql.update(self._marks).where(self._mine()).values(writer=self._me))
                self._written = mark.written
                self._layout = _schema_from(mark.layout)
                return Standing(mark.written, mark.written, without=mark.without)
            for name, what in ((self._final, "is there already"), (self._partial, "is left of another job")):
                if not restart and sql.inspect(connection).has_table(name, self._schema):
                    raise ScoreError(
                        f"{self.name}: the table {name} {what}: give --out another name, or replace it "
                        f"with --restart"
                    )
            self._drop(connection, self._partial)
            connection.execute(
                sql.insert(self._marks).values(
                    output=self._final,
                    job=json.dumps(identity),
                    written=0,
                    without=0,
                    complete=False,
                    writer=self._me,
                )
            )
        return Standing()

    def layout(self) -> Schema | None:
        return self._layout

    def predicted(self) -> Iterator[Batch]:
        return iter(())

    def begin(self, schema: Schema) -> None:
        columns = [sql.Column(field.name, sql_type(field.name, field.type)) for field in schema]
        self._table = sql.Table(self._partial, sql.MetaData(), *columns, schema=self._schema)
        with self._transaction() as connection:
            self._table.create(connection, checkfirst=True)

    def keep(self, first: int, predictions: Batch) -> None:
        del first
        self._predictions = predictions  # they are kept with the rows, in `write`

    def write(self, batch: Batch, end: int) -> None:
        names = batch.schema.names
        values = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        rows = [dict(zip(names, row, strict=True)) for row in values]
        new: dict[str, Any] = {"written": end}
        if self._predictions is not None:
            new["without"] = self._marks.c.without + self._predictions.column(0).null_count
            new["layout"] = self._predictions.schema.serialize().to_pybytes().hex()
        with self._transaction() as connection:
            mine = sql.and_(
                self._mine(), self._marks.c.writer == self._me, self._marks.c.written == self._written
            )
            if connection.execute(sql.update(self._marks).where(mine).values(**new)).rowcount != 1:
                raise ScoreError(
                    f"{self.name}: another scoring job has taken this output over; this one ends"
                )
            if rows:
                connection.execute(sql.insert(self._table), rows)
        self._written = end

    def finish(self, record: Identity) -> None:
        del record  # the mark says it
        with self._transaction() as connection:
            mark = connection.execute(sql.select(self._marks).where(self._mine())).one_or_none()
            if mark is not None and mark.complete:
                return
            self._drop(connection, self._final)
            connection.execute(sql.text(self._renaming()))
            connection.execute(sql.update(self._marks).where(self._mine()).values(complete=True))

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()
        if self._session is not None:
            self._session.close()
        self._engine.dispose()

    def _mine(self) -> Any:
        return self._marks.c.output == self._final

    @contextlib.contextmanager
    def _transaction(self) -> Generator[Any]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except exc.SQLAlchemyError as error:
            raise ScoreError(
                f"{self.name}: {database_words(error)}; what is written so far is kept"
            ) from error

    def _drop(self, connection: Any, name: str) -> None:
        sql.Table(name, sql.MetaData(), schema=self._schema).drop(connection, checkfirst=True)

    def _renaming(self) -> str:
        quote = self._engine.dialect.identifier_preparer.quote
        before = f"{quote(self._schema)}." if self._schema else ""
        if self._engine.dialect.name == "mssql":
            return f"EXEC sp_rename '{before}{quote(self._partial)}', '{self._final}'"
        return f"ALTER TABLE {before}{quote(self._partial)} RENAME TO {quote(self._final)}"

    def _exclude_others(self) -> None:
        """Let no second job at this table. Of databases with no lock that ends with its holder the mark's
        `writer` has to do: the later job takes over, and the earlier one ends at its next batch."""
        kind, database = self._engine.dialect.name, self._engine.url.database
        if kind == "sqlite" and database not in (None, "", ":memory:"):
            path = Path(database).absolute()
            self._lock = Lock(path.with_name(f".{path.name}.{self._final}.scoring.lock"), self.name)
        elif kind == "postgresql":
            digest = hashlib.sha256(f"{self._schema}.{self._final}".encode()).digest()
            key = int.from_bytes(digest[:8], "big", signed=True)
            self._session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if not self._session.execute(
                sql.text("SELECT pg_try_advisory_lock(:key)"), {"key": key}
            ).scalar():
                self._session.close()
                raise ScoreError(
                    f"another scoring job is writing {self.name}: wait for it, or give --out another name"
                )


def _schema_from(said: str | None) -> Schema | None:
    return pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(said))) if said else None
