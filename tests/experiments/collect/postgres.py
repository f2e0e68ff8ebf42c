"""A real PostgreSQL on a free port of this machine."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from servers.store.programs import answers, free_port, running

_FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
_INITDB = str(_FOUND[-1]) if _FOUND else shutil.which("initdb")


class Postgres:
    """Knows its address; can be ended and started again in the middle."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.port = home, port
        self._numbers = itertools.count()
        self.url = f"postgresql://tester@127.0.0.1:{port}/postgres"

    def fresh(self) -> str:
        """The address of a new database."""
        name = f"evidence{next(self._numbers)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return self.url.replace("/postgres", f"/{name}")

    @contextmanager
    def serving(self) -> Generator[subprocess.Popen[bytes]]:
        assert _INITDB is not None
        argv = [
            str(Path(_INITDB).with_name("postgres")), "-D", str(self.home / "data"), "-h", "127.0.0.1",
            "-p", str(self.port), "-k", str(self.home), "-c", "fsync=off",
        ]  # fmt: skip
        how = {"user": "postgres"} if os.geteuid() == 0 else {}
        with running(argv, answers(self.port), self.home, **how) as process:
            yield process
            process.send_signal(signal.SIGQUIT)  # at once, whoever is connected
            process.wait(20)


@contextmanager
def new_postgres() -> Generator[Postgres]:
    """Its files, with nothing running yet. Where tests run as root it runs as `postgres`."""
    if _INITDB is None:
        pytest.skip("there is no PostgreSQL here: apt-get install postgresql")
    home = Path(tempfile.mkdtemp(prefix="fairtrial-postgres-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(home, user)
    try:
        subprocess.run(
            [_INITDB, "-D", home / "data", "-U", "tester", "--auth=trust", "--no-sync"],
            check=True, capture_output=True, user=user, cwd=home,
        )  # fmt: skip
        yield Postgres(home, free_port())
    finally:
        shutil.rmtree(home, ignore_errors=True)
