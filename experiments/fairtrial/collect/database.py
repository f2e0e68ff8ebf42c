"""The database of the evidence: a file of SQLite, or PostgreSQL."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Engine, create_engine, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from fairtrial.collect.tables import METADATA
from fairtrial.errors import NotReadyError, UsageError

_BUSY = 5.0  # seconds that a lock of another process on a file of SQLite is waited for
_CONNECT = 5  # seconds
_TABLES = 0x66616972  # PostgreSQL's name of the lock under which tables are made


def open_database(address: str) -> Engine:
    """`sqlite:///evidence.db` or `postgresql://user:password@host/name`; the tables are made where missing.

    Raises UsageError for an address that is none of the two, NotReadyError when the database does not answer.
    No message has the password.
    """
    url = _url(address)
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
    shown = url.render_as_string(hide_password=True)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # collectors that start at once wait for each other
                connection.execute(select(func.pg_advisory_xact_lock(_TABLES)))
            METADATA.create_all(connection)
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        lines = str(cause).strip().splitlines()
        raise NotReadyError(
            f"the evidence store {shown} cannot be used: {lines[0] if lines else error}"
        ) from error
    return engine


def _url(address: str) -> URL:
    try:
        url = make_url(address)
        if url.get_backend_name() == "postgresql" and "+" not in url.drivername:
            url = url.set(drivername="postgresql+psycopg")
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise UsageError(_no_store()) from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise UsageError(_no_store())
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise UsageError("a store in memory is gone with the collector: name a file, sqlite:///evidence.db")
    return url


def _no_store() -> str:
    """Says nothing of the address, which may have a password in it."""
    return "the store's address is neither sqlite:///FILE nor postgresql://USER:PASSWORD@HOST/NAME"


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _BUSY})

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where `_on_begin` says
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # a commit is on disk when it returns
        connection.execute("PRAGMA journal_size_limit = 67108864")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    del _on_connect, _on_begin  # registered
    return engine


def _postgresql(url: URL) -> Engine:
    try:
        return create_engine(url, pool_size=1, max_overflow=1, connect_args={"connect_timeout": _CONNECT})
    except ImportError as error:
        raise UsageError("PostgreSQL needs its driver: pip install 'fairtrial[postgresql]'") from error
