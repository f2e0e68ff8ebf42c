from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from experiments.runs import fairtrial, only_run


@dataclass(frozen=True)
class Demo:
    """One `fairtrial demo`, as a user has it on disk afterwards."""

    cwd: Path  # where it was typed
    result: subprocess.CompletedProcess[str]

    @property
    def project(self) -> Path:
        return self.cwd / "fairtrial-demo"

    @property
    def run(self) -> Path:
        return only_run(self.project)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    cwd = tmp_path_factory.mktemp("demo")
    return Demo(cwd, fairtrial("demo", cwd=cwd, timeout=115))
