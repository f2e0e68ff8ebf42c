"""Models in a database: SQLite, and a real PostgreSQL where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.store import fetch
from fairtrial_servers.store.interface import UnreachableError
from fairtrial_servers.store.sql import put
from servers.store.programs import answers, free_port, running

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "wine.joblib"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.heavy)])
def database(request, tmp_path) -> str:
    """The start of an address, up to the query."""
    if request.param == "sqlite":
        return f"sql+sqlite:///{tmp_path}/models.db"
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is missing: uv sync --group stores")
    return request.getfixturevalue("postgresql")


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """A server of Debian's, run by a user that is not root, for it refuses that one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    user = {"user": "postgres"} if os.geteuid() == 0 else {}
    # Not below pytest's folder, which only its own user may enter.
    folder = Path(tempfile.mkdtemp(prefix="fairtrial-postgresql-"))
    port = free_port()
    try:
        if user:
            shutil.chown(folder, "postgres")
        name = user.get("user") or pwd.getpwuid(os.geteuid()).pw_name
        (folder / "password").write_text("s3cret-word")
        if user:
            shutil.chown(folder / "password", "postgres")
        init = [found[-1].with_name("initdb"), "-D", folder / "data", "-U", name, "--auth=scram-sha-256",
                f"--pwfile={folder / 'password'}", "--no-sync"]  # fmt: skip
        subprocess.run(list(map(str, init)), check=True, capture_output=True, cwd=folder, **user)
        argv = [found[-1], "-D", folder / "data", "-h", "127.0.0.1", "-p", port, "-k", folder]
        with running(list(map(str, argv)), answers(port), folder, **user):
            yield f"sql+postgresql+psycopg://{name}:s3cret-word@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder)


def test_a_file_that_was_put_is_fetched_once_and_again_when_replaced(database, file, tmp_path):
    uri = f"{database}?key=once"
    put(uri, file)
    told = []
    path = fetch(uri, tmp_path, lambda done, total: told.append((done, total)))
    assert (path.name, path.read_bytes()) == ("wine.joblib", CONTENT)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    told.clear()
    assert fetch(uri, tmp_path, lambda done, total: told.append((done, total))) == path
    assert told == []
    file.write_bytes(b"new")
    with pytest.raises(ModelError, match="is there already: take another key, or replace it"):
        put(uri, file)
    assert fetch(uri, tmp_path) == path
    put(uri, file, replace=True)
    assert fetch(uri, tmp_path).read_bytes() == b"new"


def test_a_folder_comes_back_as_a_folder(database, tmp_path):
    folder = tmp_path / "wine"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_bytes(b"m")
    (folder / "data" / "model.onnx").write_bytes(b"o")
    put(f"{database}?key=folder", folder)
    fetched = fetch(f"{database}?key=folder", tmp_path)
    assert (fetched / "MLmodel").read_bytes() == b"m"
    assert (fetched / "data" / "model.onnx").read_bytes() == b"o"


def test_a_table_of_ones_own(database, tmp_path):
    engine = sa.create_engine(database.removeprefix("sql+"))
    table = sa.Table(
        "releases",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("blob", sa.LargeBinary),
    )
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(table.insert(), {"id": 7, "blob": b"seven"})
    engine.dispose()
    where = f"{database}?table=releases&keyColumn=id&contentColumn=blob"
    path = fetch(f"{where}&key=7&file=model.onnx", tmp_path)
    assert (path.name, path.read_bytes()) == ("model.onnx", b"seven")
    for query, words in [
        ("&key=8&file=m.onnx", "no model at"),
        ("&key=x&file=m.onnx", "holds numbers"),
        ("&key=7", "no column file .*add &file="),
        ("&key=7&file=m.onnx&contentColumn=none", "no column none; it has id, blob, and contentColumn"),
        ("&key=7&file=../m.onnx", "leads elsewhere"),
    ]:
        address = (
            where.replace("&contentColumn=blob", "") + query if "contentColumn" in query else where + query
        )
        with pytest.raises(ModelError, match=words):
            fetch(address, tmp_path)


def test_a_row_or_a_table_that_is_not_there_is_said_so(database, file, tmp_path):
    put(f"{database}?key=there", file)
    with pytest.raises(ModelError, match=r"no model at .*key=absent"):
        fetch(f"{database}?key=absent", tmp_path)
    with pytest.raises(ModelError, match="has no table absent"):
        fetch(f"{database}?key=there&table=absent", tmp_path)


def test_content_that_is_not_what_its_row_says_is_never_served(database, file, tmp_path, cache):
    put(f"{database}?key=harmed", file)
    engine = sa.create_engine(database.removeprefix("sql+"))
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE fairtrial_models SET content = :c WHERE name = 'harmed'"), {"c": CONTENT[:-1]}
        )
    engine.dispose()
    with pytest.raises(ModelError, match="not what its column sha256 says"):
        fetch(f"{database}?key=harmed", tmp_path)
    assert list((cache / "models").iterdir()) == []


@pytest.mark.heavy
def test_a_wrong_password_is_refused_and_none_is_shown(postgresql, tmp_path, monkeypatch):
    wrong = postgresql.replace("s3cret-word", "wr0ng-word")
    with pytest.raises(UnreachableError) as refused:
        fetch(f"{wrong}?key=wine", tmp_path)
    assert "password authentication failed" in str(refused.value)
    assert "wr0ng-word" not in str(refused.value)


@pytest.mark.heavy
def test_the_password_may_be_in_the_environment(postgresql, file, tmp_path, monkeypatch):
    put(f"{postgresql}?key=password", file)
    monkeypatch.setenv("FAIRTRIAL_SQL_PASSWORD", "s3cret-word")
    without = postgresql.replace(":s3cret-word", "")
    assert fetch(f"{without}?key=password", tmp_path).read_bytes() == CONTENT


def test_a_database_that_is_down_is_said_so(tmp_path):
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is missing: uv sync --group stores")
    uri = f"sql+postgresql+psycopg://ann:s3cret-word@127.0.0.1:{free_port()}/models?key=wine"
    with pytest.raises(UnreachableError, match="refused") as refused:
        fetch(uri, tmp_path)
    assert "s3cret" not in str(refused.value)


def test_a_file_of_sqlite_is_not_made_by_asking_for_it(tmp_path):
    with pytest.raises(ModelError, match="there is no file"):
        fetch("sql+sqlite:///absent.db?key=wine", tmp_path)
    assert not (tmp_path / "absent.db").exists()


def test_a_relative_file_of_sqlite_starts_at_the_base(file, tmp_path):
    put(f"sql+sqlite:///{tmp_path}/models.db?key=wine", file)
    assert fetch("sql+sqlite:///models.db?key=wine", tmp_path).read_bytes() == CONTENT


def test_what_is_no_database_is_said_so(tmp_path):
    (tmp_path / "models.db").write_bytes(b"no database" * 100)
    with pytest.raises(ModelError, match="not a database"):
        fetch("sql+sqlite:///models.db?key=wine", tmp_path)


@pytest.mark.parametrize(
    ("uri", "error", "words"),
    [
        ("sql+sqlite:///m.db", ModelError, "the model's key in the query"),
        ("sql+nonesuch://h/m?key=a", ServerError, "no dialect nonesuch"),
        ("sql+mssql+pymssql://h/m?key=a", ServerError, "pip install pymssql"),
    ],
)
def test_addresses_that_no_driver_reads_are_said_so(tmp_path, uri, error, words):
    with pytest.raises(error, match=words):
        fetch(uri, tmp_path)


def test_a_key_is_a_value_and_never_sql(file, tmp_path):
    put(f"sql+sqlite:///{tmp_path}/models.db?key=wine", file)
    with pytest.raises(ModelError, match="no model at"):
        fetch("sql+sqlite:///models.db?key=' OR 1=1 --", tmp_path)
    with sqlite3.connect(tmp_path / "models.db") as connection:
        assert connection.execute("SELECT count(*) FROM fairtrial_models").fetchone() == (1,)
    connection.close()
