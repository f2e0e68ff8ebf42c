"""The components compile to what is kept in the repository, and their commands do what they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

_HERE = Path(__file__).parents[1]
KEPT = _HERE / "pipeline.yaml"


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By the real kfp, in a process of its own: its import alone warns of a dozen things."""
    target = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    subprocess.run(
        [sys.executable, "-m", "fairtrial_kubeflow.example", target], check=True, capture_output=True
    )
    return target


def test_the_pipeline_in_the_repository_is_the_one_that_is_compiled(compiled: Path):
    assert compiled.read_text() == KEPT.read_text(), (
        f"compile it again: python -m fairtrial_kubeflow.example {KEPT}"
    )


def test_the_scripts_are_shell(compiled: Path):
    executors = _spec(compiled)["deploymentSpec"]["executors"]
    scripts = [each["container"]["command"][2] for each in executors.values() if "container" in each]
    assert len(scripts) == 3
    for script in scripts:
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def test_a_trial_decides_what_comes_after_it(compiled: Path):
    tasks = _spec(compiled)["root"]["dag"]["tasks"]
    condition = tasks["condition-1"]["triggerPolicy"]["condition"]
    assert "'pipelinechannel--trial-verdict'] == 'PROMOTE'" in condition


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Of a container of our image: `fairtrial` is on the PATH."""
    command = Path(os.environ.get("FAIRTRIAL_COMMAND") or _HERE.parents[1] / ".venv" / "bin" / "fairtrial")
    if not command.is_file():
        pytest.skip(f"there is no {command}: run `uv sync` in the workspace")
    return os.environ | {"PATH": f"{command.parent}:{os.environ['PATH']}"}


@pytest.fixture(scope="session")
def project(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("projects") / "project"
    subprocess.run(["fairtrial", "init", "--example", "better", folder], env=environment, check=True)
    subprocess.run(["python", "train.py"], cwd=folder, env=environment, check=True, capture_output=True)
    shutil.move(folder / "holdout.parquet", folder / "rows")  # an artifact's name tells nothing
    return folder


def called(compiled: Path, name: str, folder: Path, inputs: dict[str, Any]) -> list[str]:
    """A component's command, as Kubeflow fills it in: what is no input becomes a path in `folder`."""
    container = _spec(compiled)["deploymentSpec"]["executors"][f"exec-{name}"]["container"]

    def filled(word: str) -> list[str]:
        if word.startswith('{"IfPresent"'):
            wanted = json.loads(word)["IfPresent"]
            return (
                [w for each in wanted["Then"] for w in filled(each)] if wanted["InputName"] in inputs else []
            )
        found = re.fullmatch(r"\{\{\$\.(inputs|outputs)\.\w+\['(\w+)'\](?:\.\w+)?\}\}", word)
        if found is None:
            return [word]
        return [str(inputs[found[2]] if found[1] == "inputs" else folder / "outputs" / found[2] / "it")]

    return [*container["command"], *(w for word in container["args"] for w in filled(word))]


def _spec(compiled: Path) -> dict[str, Any]:
    return next(iter(yaml.safe_load_all(compiled.read_text())))


def test_a_trial_of_two_artifacts_leaves_verdict_report_and_summary(
    compiled: Path, environment: dict[str, str], project: Path, tmp_path: Path
):
    from experiments.run_texts import QUICK

    text = QUICK.replace("models/v1", "models/baseline").replace("models/v2", "models/candidate")
    inputs = {
        "experiment": text,
        "data": project / "rows",
        "baseline": project / "models" / "v1",
        "candidate": project / "models" / "v2",
        "data_name": "holdout.parquet",
        "on_rollback": "pass",
        "on_inconclusive": "pass",
        "arguments": "",
    }
    ran = run(called(compiled, "trial", tmp_path, inputs), environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    outputs = tmp_path / "outputs"
    assert (outputs / "verdict" / "it").read_text() == "PROMOTE"
    assert json.loads((outputs / "document" / "it").read_text())["verdict"] == "PROMOTE"
    assert "<html" in (outputs / "report" / "it").read_text()[:300]
    assert "### ✅ PROMOTE" in (outputs / "summary" / "it").read_text()


def test_an_experiment_that_is_wrong_fails_its_step_and_says_why(
    compiled: Path, environment: dict[str, str], tmp_path: Path
):
    inputs = {
        "experiment": "kind: Experiment",
        "data_name": "d",
        "on_rollback": "",
        "on_inconclusive": "",
        "arguments": "",
    }
    ran = run(called(compiled, "trial", tmp_path, inputs), environment)
    assert ran.returncode == 2
    assert "NO VERDICT" in ran.stdout
    assert not (tmp_path / "outputs" / "verdict" / "it").exists()


@pytest.mark.parametrize(
    ("code", "said", "reaction", "ends"),
    [
        (10, "ROLLBACK", "fail", 10),
        (10, "ROLLBACK", "pass", 0),
        (11, "INCONCLUSIVE", "fail", 11),
        (12, "", "pass", 12),
    ],
)
def test_a_verdict_is_an_output_and_fails_only_if_told_to(
    compiled: Path, tmp_path: Path, code: int, said: str, reaction: str, ends: int
):
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin" / "fairtrial"
    stand_in.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/words\nexit {code}\n')
    stand_in.chmod(0o755)
    inputs = {
        "experiment": "x",
        "data_name": "d",
        "on_rollback": reaction,
        "on_inconclusive": reaction,
        "arguments": "--workers 2 *",
    }
    ran = run(
        called(compiled, "trial", tmp_path, inputs),
        os.environ | {"PATH": f"{stand_in.parent}:{os.environ['PATH']}"},
    )
    assert ran.returncode == ends
    verdict = tmp_path / "outputs" / "verdict" / "it"
    assert (verdict.read_text() if verdict.exists() else "") == said
    assert (tmp_path / "words").read_text().splitlines()[-3:] == ["--workers", "2", "*"]


def test_rows_are_scored_whatever_an_artifact_is_called(
    compiled: Path, environment: dict[str, str], project: Path, tmp_path: Path
):
    inputs = {
        "model": project / "models" / "v2",
        "data": project / "rows",
        "data_format": "parquet",
        "arguments": "--target target",
    }
    ran = run(called(compiled, "score", tmp_path, inputs), environment)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "outputs" / "scored" / "it").read_bytes()[:4] == b"PAR1"


def test_an_image_that_cannot_be_pushed_fails_its_step(
    compiled: Path, environment: dict[str, str], project: Path, tmp_path: Path
):
    inputs = {
        "model": project / "models" / "v2",
        "to": "127.0.0.1:1/wine:2",
        "arguments": "--artifact --insecure",
    }
    ran = run(called(compiled, "pack", tmp_path, inputs), environment)
    assert ran.returncode not in (0, 1)
    assert "127.0.0.1:1" in ran.stderr


def run(line: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=200, check=False)
