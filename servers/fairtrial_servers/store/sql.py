"""Models in a database: one row each, found by SQLAlchemy's URL with `sql+` before it.

    sql+postgresql+psycopg://user@host/database?key=wine-7

The query says which row: `key` (required), and where the table is another than ours `table`
("fairtrial_models", may be "schema.table"), `keyColumn` ("name"), `contentColumn` ("content"), `fileColumn`
("file") and `file` (the file's name where no column has it). All other parameters are the driver's.

    CREATE TABLE fairtrial_models (
        name    VARCHAR(255) PRIMARY KEY,   -- the key
        file    VARCHAR(255) NOT NULL,      -- "wine.joblib"; a folder is kept as "wine.tar.gz"
        sha256  CHAR(64) NOT NULL,          -- of the content
        content BLOB NOT NULL               -- BYTEA, VARBINARY(MAX), ...
    )

`put` writes such a row, and the table before it where there is none. A table of your own may lack `sha256`;
then the model is fetched every time. A password may be left out of the URL: FAIRTRIAL_SQL_PASSWORD is taken.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import URL, make_url

from fairtrial_servers.addresses import said, shown, wrong_with
from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.store.interface import Received, UnreachableError
from fairtrial_servers.store.receiving import CHUNK, Receiver

_DEFAULTS = {
    "table": "fairtrial_models", "keyColumn": "name", "contentColumn": "content", "fileColumn": "file"
}  # fmt: skip
_SHA256 = "sha256"
_OURS = (*_DEFAULTS, "key", "file")


@dataclass(frozen=True)
class _Place:
    """The row that an address means."""

    url: URL
    said: Mapping[str, str]  # table, key, keyColumn, contentColumn, fileColumn, file

    @property
    def table(self) -> tuple[str | None, str]:
        """Schema and name."""
        schema, _, name = self.said["table"].rpartition(".")
        return schema or None, name


class SqlStore:
    def __init__(self, base: Path) -> None:
        """base: where the relative path of an SQLite file starts."""
        self._base = base

    def identity(self, uri: str) -> str:
        url = _place(uri, self._base).url
        return f"{uri} at {url.database}" if url.get_backend_name() == "sqlite" else uri

    def is_fixed(self, uri: str) -> bool:
        del uri
        return False  # a row can be written again

    def download(self, uri: str, known: str | None, receiver: Receiver) -> Received:
        place = _place(uri, self._base)
        with _connected(uri, place) as connection:
            schema, name = place.table
            try:
                table = sa.Table(name, sa.MetaData(), schema=schema, autoload_with=connection)
            except exc.NoSuchTableError:
                raise ModelError(f"{shown(uri)}: the database has no table {place.said['table']}") from None
            row = _Row(connection, table, place, uri)
            version = row.sha256()
            if version is not None and version == known:
                return Received(version, lone=True, changed=False)
            file = row.file_name()
            receiver.expect(row.size())
            content = row.content()
            with receiver.file(file, len(content)) as sink:
                for start in range(0, len(content), CHUNK):
                    sink.write(content[start : start + CHUNK])
                if version is not None and sink.sha256.hexdigest() != version:
                    raise ModelError(f"{shown(uri)}: the row's content is not what its column {_SHA256} says")
        return Received(version, lone=True)


class _Row:
    """Column by column, for the content is large."""

    def __init__(self, connection: sa.Connection, table: sa.Table, place: _Place, uri: str) -> None:
        self._connection, self._table, self._place, self._uri = connection, table, place, uri
        self._matches = self._column("keyColumn") == place.said["key"]
        key = self._column("keyColumn")
        if isinstance(key.type, sa.Integer):
            said = place.said["key"]
            if not said.isdecimal():
                raise ModelError(f"{shown(uri)}: the column {key.name} holds numbers, and {said!r} is none")
            self._matches = key == int(said)
        found = connection.execute(
            sa.select(sa.func.count()).where(self._matches).select_from(table)
        ).scalar_one()
        if found != 1:
            what = "no model" if not found else f"{found} rows"
            raise ModelError(f"there is {what} at {shown(uri)}: {key.name} is the column that is looked in")

    def sha256(self) -> str | None:
        if _SHA256 not in self._table.columns:
            return None
        return str(self._get(self._table.columns[_SHA256])).strip().lower()

    def file_name(self) -> str:
        said = self._place.said
        if "file" in said:
            return said["file"]
        if said["fileColumn"] in self._table.columns:
            return str(self._get(self._table.columns[said["fileColumn"]])).strip()
        raise ModelError(
            f"{shown(self._uri)}: the table has no column {said['fileColumn']} with the file's name; "
            f"add &file=model.joblib to the address"
        )

    def size(self) -> int:
        backend = self._connection.dialect.name
        length = {"mssql": sa.func.datalength, "postgresql": sa.func.octet_length}.get(
            backend, sa.func.length
        )
        return int(self._get(length(self._column("contentColumn"))) or 0)

    def content(self) -> bytes:
        content = self._get(self._column("contentColumn"))
        if not isinstance(content, bytes | bytearray | memoryview):
            raise ModelError(
                f"{shown(self._uri)}: the column {self._place.said['contentColumn']} holds no bytes"
            )
        return bytes(content)

    def _column(self, what: str) -> sa.Column[Any]:
        name = self._place.said[what]
        if name not in self._table.columns:
            known = ", ".join(column.name for column in self._table.columns)
            raise ModelError(
                f"{shown(self._uri)}: the table has no column {name}; it has {known}, and {what} in the "
                f"address says which"
            )
        return self._table.columns[name]

    def _get(self, what: Any) -> Any:
        return self._connection.execute(sa.select(what).where(self._matches)).scalar_one()


def put(uri: str, path: Path | str, *, replace: bool = False) -> str:
    """Put the model at `path`, a file or a folder, into the row that `uri` names; returns its SHA-256.

    The table is made where there is none. Raises ModelError when the row is there and may not be replaced,
    and when the database or the model cannot be used.
    """
    place = _place(uri, Path.cwd(), new=True)
    file, content = _packed(Path(path))
    schema, name = place.table
    said = place.said
    table = sa.Table(
        name,
        sa.MetaData(),
        sa.Column(said["keyColumn"], sa.String(255), primary_key=True),
        sa.Column(said["fileColumn"], sa.String(255), nullable=False),
        sa.Column(_SHA256, sa.CHAR(64), nullable=False),
        sa.Column(said["contentColumn"], sa.LargeBinary, nullable=False),
        schema=schema,
    )
    digest = hashlib.sha256(content).hexdigest()
    row = {
        said["keyColumn"]: said["key"],
        said["fileColumn"]: said.get("file", file),
        _SHA256: digest,
        said["contentColumn"]: content,
    }
    with _connected(uri, place) as connection:
        table.create(connection, checkfirst=True)
        if replace:
            connection.execute(table.delete().where(table.columns[said["keyColumn"]] == said["key"]))
        try:
            connection.execute(table.insert(), row)
        except exc.IntegrityError:
            raise ModelError(f"{shown(uri)} is there already: take another key, or replace it") from None
        connection.commit()
    return digest


def _packed(path: Path) -> tuple[str, bytes]:
    try:
        if not path.is_dir():
            return path.name, path.read_bytes()
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            tar.add(path, arcname=path.resolve().name)
    except OSError as error:
        raise ModelError(f"cannot read the model at {path}: {error.strerror}") from error
    return f"{path.resolve().name}.tar.gz", packed.getvalue()


def _place(uri: str, base: Path, *, new: bool = False) -> _Place:
    """Raises ModelError for an address that names no row, or an SQLite file that is not there."""
    wrong = wrong_with(uri)
    if wrong is not None:
        raise ModelError(f"{shown(uri)} is no address of a model: expected {wrong}")
    try:
        url = make_url(uri.removeprefix("sql+"))
    except exc.ArgumentError:
        raise ModelError(f"{shown(uri)} is no URL that SQLAlchemy reads") from None
    ours = {name: cast("str", value) for name, value in url.query.items() if name in _OURS}
    url = url.difference_update_query(_OURS)
    password = os.environ.get("FAIRTRIAL_SQL_PASSWORD")
    if url.username and url.password is None and password:
        url = url.set(password=password)
    if url.get_backend_name() == "sqlite":
        file = base / (url.database or "")
        if not new and not file.is_file():  # which SQLite would make
            raise ModelError(f"{shown(uri)}: there is no file {file}")
        url = url.set(database=str(file))
    return _Place(url, {**_DEFAULTS, **ours})


@contextmanager
def _connected(uri: str, place: _Place) -> Generator[sa.Connection]:
    try:
        engine = sa.create_engine(place.url, poolclass=sa.NullPool)
    except exc.NoSuchModuleError:
        dialect = place.url.drivername
        raise ServerError(
            f"{shown(uri)}: SQLAlchemy has no dialect {dialect}; install the package that has it"
        ) from None
    except ImportError as error:
        raise ServerError(
            f"{shown(uri)} needs a driver that is not installed: pip install {error.name}"
        ) from None
    try:
        with engine.connect() as connection:
            yield connection
    except exc.DBAPIError as error:
        kind = (
            UnreachableError if isinstance(error, exc.OperationalError | exc.InterfaceError) else ModelError
        )
        raise kind(f"{shown(uri)} cannot be read: {said(error.orig or error, str(place.url))}") from None
    finally:
        engine.dispose()
