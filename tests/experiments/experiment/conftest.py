"""A folder as `fairtrial init` leaves it after training, with files that need no training."""

from __future__ import annotations

from pathlib import Path

import pytest
from fairtrial.projects.writing import write_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    write_project("better", folder)
    for version in ("v1", "v2"):
        (folder / "models" / version).mkdir(parents=True)
    (folder / "holdout.parquet").touch()
    return folder
