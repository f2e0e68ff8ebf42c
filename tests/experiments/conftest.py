from __future__ import annotations

from pathlib import Path

import pytest
from fairtrial.projects.training import train
from fairtrial.projects.writing import write_project


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "project"
    write_project("better", folder)
    train(folder, print)
    return folder
