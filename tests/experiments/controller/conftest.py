from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from experiments.run_texts import QUICK


@pytest.fixture
def quick_project(trained: Path, tmp_path: Path) -> Path:
    """A project whose run takes seconds and ends in PROMOTE."""
    folder = tmp_path / "project"
    shutil.copytree(trained, folder)
    (folder / "experiment.yaml").write_text(QUICK, encoding="utf-8")
    return folder


@pytest.fixture
def long_project(quick_project: Path) -> Path:
    """A project whose run goes on for a minute: whatever is to happen to it happens before its end."""
    text = QUICK.replace("maxDuration: 20s", "maxDuration: 60s").replace("minEffect: 8pp", "minEffect: 14pp")
    (quick_project / "experiment.yaml").write_text(text, encoding="utf-8")
    return quick_project
