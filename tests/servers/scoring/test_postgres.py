"""Scoring from and to a real PostgreSQL: each row once though the job is killed, and one job at a time."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fairtrial_servers.scoring.errors import ScoreError
from servers.scoring.test_resuming import killed_until_done, start

psycopg = pytest.importorskip("psycopg", reason="its driver is an extra: uv sync --group stores")
pytestmark = pytest.mark.heavy

_FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
_INITDB = str(_FOUND[-1]) if _FOUND else shutil.which("initdb")


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """The port of a server that ends with the tests. Where they run as root it runs as `postgres`."""
    if _INITDB is None:
        pytest.skip("there is no PostgreSQL here: apt-get install postgresql")
    home = Path(tempfile.mkdtemp(prefix="fairtrial-postgres-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(home, user)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    control = Path(_INITDB).with_name("pg_ctl")
    place = ["-D", str(home / "data")]

    def run(*argv: str) -> None:
        subprocess.run(argv, user=user, cwd=home, check=True, stdout=subprocess.DEVNULL)

    run(_INITDB, *place, "-U", "tester", "-A", "trust", "--no-sync")
    how = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home}"
    run(str(control), *place, "-o", how, "-l", str(home / "log"), "-w", "start")
    try:
        yield port
    finally:
        run(str(control), *place, "-m", "immediate", "-w", "stop")
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def address(server, table) -> str:
    """Of the database, with the table `rows` in it."""
    with psycopg.connect(host="127.0.0.1", port=server, user="tester", dbname="postgres") as connection:
        connection.execute(
            "create table rows (id bigint primary key, word text, c float8, b float8, a numeric, y int)"
        )
        with connection.cursor().copy("copy rows from stdin") as copy:
            for row in table.to_pylist():
                copy.write_row(tuple(row.values()))
    return f"sql+postgresql+psycopg://tester@127.0.0.1:{server}/postgres?table="


def test_a_table_has_every_row_once_though_the_job_was_killed(server, address, model, table):
    kills, found = killed_until_done(model, f"{address}rows", f"{address}scored")
    assert kills >= 5
    assert found > 0
    with psycopg.connect(host="127.0.0.1", port=server, user="tester", dbname="postgres") as connection:
        ids = [row[0] for row in connection.execute("select id from scored order by id")]
    assert ids == table["id"].to_pylist()


def test_a_second_job_on_the_same_table_is_refused_in_words(address, score, model):
    first = start(model, f"{address}rows", "--out", f"{address}doubled")
    try:
        with pytest.raises(ScoreError, match="another scoring job is writing"):
            score(model, f"{address}rows", f"{address}doubled")
    finally:
        _, errors = first.communicate("go\n", timeout=60)
    assert first.returncode == 0, errors
