"""Each example comes to the verdict that it is an example of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from experiments.runs import fairtrial, journal_of, only_run
from fairtrial.journal.entries import Effect, Kind

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def _run(example: str, cwd: Path) -> tuple[int, dict, Path]:
    result = fairtrial("demo", "project", "--example", example, "--output", "json", cwd=cwd, timeout=280)
    return result.returncode, json.loads(result.stdout), only_run(cwd / "project")


def test_a_worse_candidate_is_rolled_back_on_the_objective(tmp_path: Path):
    code, verdict, run = _run("worse", tmp_path)
    assert (code, verdict["verdict"]) == (10, "ROLLBACK")
    assert "accuracy" in " ".join(verdict["reasons"])
    assert verdict["elapsed"] < 20, "an obvious regression takes less than 20 s of load"
    assert Effect.ROLLBACK in [entry.effect for entry in journal_of(run) if entry.kind is Kind.DONE]


def test_a_slower_candidate_is_rolled_back_on_the_guardrail(tmp_path: Path):
    code, verdict, _ = _run("slower", tmp_path)
    assert (code, verdict["verdict"]) == (10, "ROLLBACK")
    assert "p99 latency" in " ".join(verdict["reasons"])


def test_the_same_model_twice_is_inconclusive_and_says_why(tmp_path: Path):
    code, verdict, run = _run("same", tmp_path)
    assert (code, verdict["verdict"]) == (11, "INCONCLUSIVE")
    assert "accuracy" in " ".join(verdict["reasons"])
    assert Effect.ROLLBACK in [entry.effect for entry in journal_of(run) if entry.kind is Kind.DONE]
