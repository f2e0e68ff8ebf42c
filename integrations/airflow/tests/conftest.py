from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def command() -> Path:
    """The `fairtrial` command of the workspace's own environment."""
    found = Path(os.environ.get("FAIRTRIAL_COMMAND") or _ROOT / ".venv" / "bin" / "fairtrial")
    if not found.is_file():
        pytest.skip(f"there is no {found}: run `uv sync` in the workspace")
    return found


@pytest.fixture(scope="session")
def project(command: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with trained models, whose experiment ends in PROMOTE within seconds."""
    from experiments.run_texts import QUICK

    folder = tmp_path_factory.mktemp("projects") / "project"
    subprocess.run([command, "init", "--example", "better", folder], check=True, capture_output=True)
    subprocess.run([command.with_name("python"), "train.py"], cwd=folder, check=True, capture_output=True)
    (folder / "experiment.yaml").write_text(QUICK)
    return folder


@pytest.fixture(scope="session", autouse=True)
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for Airflow, set before anything of Airflow is imported: that makes files in it."""
    assert "airflow" not in sys.modules
    home = tmp_path_factory.mktemp("airflow")
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parents[1] / "fairtrial_airflow" / "example_dags"),
    }
    return home
