"""`--junit` and `--summary` are written however a verb ends, whole or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from experiments.histories import BETTER, run
from experiments.run_texts import QUICK
from experiments.runs import FAIRTRIAL, fairtrial, kinds, only_run
from fairtrial.cli.group import cli
from fairtrial.journal.entries import Kind
from fairtrial.projects.writing import write_project

FILES = ("--junit", "junit.xml", "--summary", "summary.md")


def mark(folder: Path) -> str:
    """What became of the verdict, as JUnit XML says it."""
    case = ElementTree.parse(folder / "junit.xml").find(".//testcase[@name='verdict']")
    assert case is not None
    return case[0].tag if len(case) else "passed"


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with observations that somebody recorded, and the folder in which the verbs are given."""
    write_project("better", tmp_path / "project")
    run(tmp_path / "recorded", BETTER)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return tmp_path / "project"


def judged(*options: str) -> Result:
    return CliRunner().invoke(cli, ["judge", "--data", "../recorded/observations", *options])


def test_a_retrospective_writes_both(recorded: Path):
    result = judged(*FILES)
    assert result.exit_code in (0, 10, 11), result.output
    assert mark(recorded) == {0: "passed", 10: "failure", 11: "skipped"}[result.exit_code]
    assert f"exit code {result.exit_code}" in (recorded / "summary.md").read_text()
    assert {path.name for path in recorded.iterdir() if "partial" in path.name} == set()


def test_a_file_that_cannot_be_read_is_told_in_both(recorded: Path):
    (recorded / "experiment.yaml").write_text("kind: Experiment\n")
    (recorded / "junit.xml").write_text("of an earlier run, and green")
    result = judged(*FILES)
    assert result.exit_code == 2
    assert mark(recorded) == "error"
    assert "NO VERDICT on experiment" in (recorded / "summary.md").read_text()


def test_folders_are_made_and_what_is_no_file_is_refused_before_anything_begins(recorded: Path):
    assert judged("--junit", "reports/new/junit.xml").exit_code != 2
    assert (recorded / "reports" / "new" / "junit.xml").is_file()
    for bad in (".", "experiment.yaml/junit.xml", "/dev/null"):
        result = judged("--junit", bad)
        assert result.exit_code == 2
        assert "cannot write" in result.output
    assert judged("--junit", "one", "--summary", "./one").exit_code == 2


def test_a_slip_costs_nobody_an_experiment(recorded: Path):
    before = (recorded / "experiment.yaml").read_text()
    result = judged("--summary", "experiment.yaml")
    assert result.exit_code == 2
    assert "about that file itself" in result.output
    assert (recorded / "experiment.yaml").read_text() == before


def test_a_full_disk_changes_no_exit_code_and_leaves_nothing_half_written(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    expected = judged().exit_code
    monkeypatch.setattr(os, "replace", full)
    result = judged(*FILES)
    assert result.exit_code == expected  # the verdict stands
    assert "No space left on device" in result.output
    assert not (recorded / "junit.xml").exists()


def test_what_others_wrote_to_githubs_summary_stays(recorded: Path, monkeypatch: pytest.MonkeyPatch):
    shared = recorded / "step.md"
    shared.write_text("# of an earlier line of the step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(shared))
    judged("--summary", "step.md")
    text = shared.read_text()
    assert text.startswith("# of an earlier line of the step\n")
    assert text.count("<!-- fairtrial") == 1


def test_an_experiment_on_a_cluster_has_no_such_files(recorded: Path):
    result = CliRunner().invoke(cli, ["resume", "wine", "--namespace", "shop", *FILES])
    assert result.exit_code == 2
    assert "its status" in result.output


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(trained, folder)
    (folder / "experiment.yaml").write_text(QUICK, encoding="utf-8")
    return folder


@pytest.mark.slow  # a whole run; the others of its parts are tested without one
def test_a_run_writes_both_and_report_writes_them_again(project: Path):
    result = fairtrial("run", *FILES, cwd=project)
    assert result.returncode == 0, result.stderr
    assert mark(project) == "passed"
    first = (project / "summary.md").read_text()
    assert "```mermaid" in first
    assert fairtrial("report", "--summary", "again.md", cwd=project).returncode == 0
    again = (project / "again.md").read_text()
    assert again.rpartition("<sub>")[0] == first.rpartition("<sub>")[0]


def test_a_run_that_is_told_to_stop_says_so(project: Path):
    process = subprocess.Popen(
        [*FAIRTRIAL, "run", *FILES], cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not _begun(project):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
    assert mark(project) == "error"
    text = (project / "summary.md").read_text()
    assert "It was interrupted" in text
    assert f"run `{only_run(project).name}`" in text
    assert fairtrial("report", "--junit", "again.xml", cwd=project).returncode == 0
    assert "The run was interrupted." in (project / "again.xml").read_text()


def _begun(project: Path) -> bool:
    try:
        return kinds(only_run(project))[Kind.STARTED] > 0
    except Exception:  # noqa: BLE001  it has only just begun
        return False
