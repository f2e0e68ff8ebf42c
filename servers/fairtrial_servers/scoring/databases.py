"""SQL databases through SQLAlchemy: connecting, and what SQL types hold in Arrow's terms."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import sqlalchemy as sql
from sqlalchemy import exc

from fairtrial_servers.scoring.arrow import Type, is_text
from fairtrial_servers.scoring.errors import ScoreError, first_line
from fairtrial_servers.scoring.options import Location


def connect(where: Location) -> Any:
    """An engine that can be reached. Raises ScoreError."""
    try:
        # No pool: a connection is closed when it is done with, however the job ends.
        engine = sql.create_engine(where.url, poolclass=sql.NullPool)
        with engine.connect():
            return engine
    except exc.NoSuchModuleError:
        raise ScoreError(
            f"{where.name}: SQLAlchemy knows no such database; is its driver installed?"
        ) from None
    except ModuleNotFoundError as error:
        raise ScoreError(
            f"{where.name}: the database's driver is not installed: pip install {error.name}"
        ) from None
    except (exc.SQLAlchemyError, OSError) as error:
        raise ScoreError(f"{where.name}: {database_words(error)}") from error


def table_of(engine: Any, where: Location) -> Any:
    """The table as the database describes it. Raises ScoreError if there is none."""
    schema, _, name = where.table.rpartition(".")
    try:
        return sql.Table(name, sql.MetaData(), schema=schema or None, autoload_with=engine)
    except exc.NoSuchTableError:
        raise ScoreError(f"{where.name}: there is no such table") from None
    except exc.SQLAlchemyError as error:
        raise ScoreError(f"{where.name}: {database_words(error)}") from error


def arrow_type(kind: Any) -> Type | None:
    """What a column of a SQL type holds; None for a type that is read as text."""
    pairs = (
        (sql.Boolean, pa.bool_()),
        (sql.Integer, pa.int64()),
        (sql.Numeric, pa.float64()),
        (sql.Float, pa.float64()),  # no kind of Numeric from SQLAlchemy 2.1 on
        (sql.DateTime, pa.timestamp("us")),
        (sql.Date, pa.date32()),
        (sql.String, pa.string()),
        (sql.LargeBinary, pa.binary()),
    )
    for known, arrow in pairs:
        if isinstance(kind, known):
            if arrow == pa.timestamp("us") and getattr(kind, "timezone", False):
                return pa.timestamp("us", "UTC")
            return arrow
    return None


def sql_type(name: str, kind: Type) -> Any:  # noqa: PLR0911  one for each kind
    """The SQL type for an Arrow one. Raises ScoreError for one that has none."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    types = pa.types
    if types.is_boolean(kind):
        return sql.Boolean()
    if types.is_integer(kind):
        return sql.BigInteger()
    if types.is_floating(kind) or types.is_decimal(kind):
        return sql.Double()
    if is_text(kind) or types.is_null(kind):
        return sql.Text()
    if types.is_timestamp(kind):
        return sql.DateTime(timezone=kind.tz is not None)
    if types.is_date(kind):
        return sql.Date()
    if types.is_binary(kind) or types.is_large_binary(kind):
        return sql.LargeBinary()
    raise ScoreError(f'column "{name}" holds {kind}, for which SQL has no type: leave it out')


def database_words(error: Exception) -> str:
    """The database's own words, without the statement and SQLAlchemy's links."""
    return first_line(getattr(error, "orig", None) or error)
