"""One real run of each strategy: who was served what, and that nothing is left of the one that lost."""

import json
from pathlib import Path

import pytest
from experiments.runs import assert_no_orphans, fairtrial, journal_of, observations, only_run
from fairtrial.journal.entries import Effect, Kind

_STEPS = "canary: {steps: [{setWeight: 10, minRequests: 20}, {setWeight: 50}]}"


def _won(project: Path, strategy: str) -> Path:
    """The folder of a run by this strategy, which ends in PROMOTE."""
    file = project / "experiment.yaml"
    text = file.read_text()
    assert _STEPS in text
    file.write_text(text.replace(_STEPS, strategy))
    ended = fairtrial("run", cwd=project)
    assert ended.returncode == 0, ended.stderr
    run = only_run(project)
    assert_no_orphans(run)
    assert json.loads((run / "verdict.json").read_text())["verdict"] == "PROMOTE"
    replayed = fairtrial("replay", run, cwd=project)
    assert replayed.returncode == 0, replayed.stdout
    return run


def _effects(run: Path) -> list[Effect | None]:
    return [entry.effect for entry in journal_of(run) if entry.kind is Kind.DONE]


@pytest.mark.parametrize(
    ("strategy", "switches"),
    [("shadow: {}", []), ("blueGreen: {preview: shadow, keepFor: 1s}", [Effect.SWITCH])],
)
def test_no_user_meets_the_candidate_before_it_has_won(
    quick_project: Path, strategy: str, switches: list[Effect]
):
    run = _won(quick_project, strategy)
    seen = observations(run)
    answered = seen.filter(seen.column("segment").is_valid()).column("arm").unique().to_pylist()
    assert answered == ["v1"]
    assert _effects(run) == [
        *(Effect.DEPLOY, Effect.LOAD, Effect.STOP_LOAD),
        *switches,
        *(Effect.PROMOTE, Effect.CLOSE),
    ]
    report = (run / "report.html").read_text()
    assert "100% copied to v2" in report
    assert "shadow: true" in (run / "seldondeployment.yaml").read_text()


def test_a_canary_rises_in_equal_steps(quick_project: Path):
    run = _won(quick_project, "canary: {stepWeight: 20, maxWeight: 50, minRequests: 20}")
    shifts = [e.body["weights"] for e in journal_of(run) if e.kind is Kind.DONE and "weights" in e.body]
    assert [each["v2"] for each in shifts] == [20, 40, 50][: len(shifts)]
    assert len(shifts) > 1


def test_a_bandit_gives_the_better_arm_more_and_the_other_its_floor(quick_project: Path):
    run = _won(quick_project, "bandit: {every: 500ms, minRequests: 10}")
    weights = [
        e.body["weights"]["v2"] for e in journal_of(run) if e.kind is Kind.DONE and "weights" in e.body
    ]
    assert weights[0] == 50
    assert weights[-1] == max(weights) > 50
    seen = {s for s in observations(run).column("segment").to_pylist() if s is not None}
    assert seen <= {f"split-{100 - share}-{share}" for share in weights}
