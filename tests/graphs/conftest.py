"""A local backend with stand-in models, closed by the test that asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fairtrial_graphs.backends.local import LocalBackend
from graphs.standin import launcher


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[LocalBackend]:
    with LocalBackend(tmp_path, launcher, ready_timeout=20.0) as backend:
        yield backend
