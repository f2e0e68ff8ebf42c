"""What somebody at a terminal sees of a schedule that lets nothing go forward now."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from experiments.run_texts import QUICK
from experiments.runs import FAIRTRIAL, assert_no_orphans, fairtrial, kinds, only_run
from fairtrial.errors import ExitCode
from fairtrial.journal.entries import Kind

_FROZEN = "  schedule: {timeZone: Europe/Berlin, freezes: [{from: 2026-01-01, to: 2099-12-30}]}\n"
_UNTIL = "the freeze of spec.schedule ends Thu 2099-12-31 00:00 CET"


@pytest.fixture
def frozen(quick_project: Path) -> Path:
    (quick_project / "experiment.yaml").write_text(QUICK.rstrip() + "\n" + _FROZEN, encoding="utf-8")
    return quick_project


@pytest.fixture
def waiting(frozen: Path) -> Iterator[subprocess.Popen[str]]:
    """`fairtrial run`, once it waits to begin."""
    process = subprocess.Popen([*FAIRTRIAL, "run"], cwd=frozen, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        while f"the trial waits to begin: {_UNTIL}" not in (line := process.stderr.readline()):
            assert line, "it ended before it waited"
        yield process
    finally:
        process.kill()
        process.communicate()


def document(*args: str, cwd: Path) -> dict[str, Any]:
    return json.loads(fairtrial(*args, "--output", "json", cwd=cwd).stdout)


def test_plan_says_until_when_nothing_goes_forward(frozen: Path):
    told = fairtrial("plan", cwd=frozen).stdout
    assert f"may go forward\n  now closed: {_UNTIL}" in told
    said = document("plan", cwd=frozen)["schedule"]
    assert (said["open"], said["words"]) == (False, f"closed: {_UNTIL}")
    assert said["until"] > time.time()


def test_a_run_with_a_budget_is_refused_and_leaves_nothing(frozen: Path):
    ended = fairtrial("run", "--budget", "60s", cwd=frozen)
    assert ended.returncode == ExitCode.NOT_READY
    assert f"--budget 1m: {_UNTIL}; run it then, or without a budget, and it waits" in ended.stderr
    assert not (frozen / "runs").exists()


def test_a_run_that_waits_says_so_and_ends_when_it_is_told_to(frozen: Path, waiting: subprocess.Popen[str]):
    assert document("status", cwd=frozen)["waitsFor"] == f"the trial waits to begin: {_UNTIL}"
    assert f"waits    the trial waits to begin: {_UNTIL}" in fairtrial("status", cwd=frozen).stdout
    assert fairtrial("abort", cwd=frozen).returncode == ExitCode.OK
    assert waiting.wait(30) == ExitCode.ABORTED
    run = only_run(frozen)
    assert kinds(run)[Kind.INTENDED] == 1  # its own end
    assert_no_orphans(run)


def test_ctrl_c_ends_the_waiting_and_the_run_can_be_resumed(frozen: Path, waiting: subprocess.Popen[str]):
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(30) == ExitCode.INTERRUPTED
    assert kinds(only_run(frozen))[Kind.INTERRUPTED] == 1
    assert document("status", cwd=frozen)["state"].startswith("cut off; `fairtrial resume`")
