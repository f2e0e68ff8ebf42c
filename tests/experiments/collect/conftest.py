from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from experiments.collect.postgres import Postgres, new_postgres
from fairtrial.collect.database import open_database
from sqlalchemy import Engine


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with new_postgres() as found, found.serving():
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty store."""
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path / 'evidence.db'}"
    else:
        address = request.getfixturevalue("postgres").fresh()
    opened = open_database(address)
    yield opened
    opened.dispose()
