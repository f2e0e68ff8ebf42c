"""What is served at each stage of a strategy."""

from pathlib import Path

import pytest
from fairtrial.experiment.reading import parse
from fairtrial.journal.entries import Effect
from fairtrial.planning.plan import Plan, plan_of
from fairtrial_graphs.build import Arm, Shadow, build, weights
from fairtrial_graphs.seldon.rules import check
from fairtrial_graphs.seldon.text import render
from fairtrial_graphs.seldon.types import SeldonDeployment

_FILE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  deployment: seldondeployment.yaml
  baseline: {{name: v1}}
  candidates: [{{name: v2}}]
  strategy: {strategy}
  traffic: {{loadTest: {{requests: {{data: rows.csv}}}}}}
  metrics: [{{name: errorRate}}]
"""
_STRATEGIES = [
    "{abTest: {weights: {v1: 70, v2: 30}}}",
    "{canary: {stepWeight: 10}}",
    "{shadow: {percent: 40}}",
    "{blueGreen: {}}",
    "{blueGreen: {preview: shadow}}",
]


@pytest.fixture(params=[False, True], ids=["two that answer", "shadow by hand"])
def by_hand(request: pytest.FixtureRequest) -> SeldonDeployment:
    v1, v2 = (Arm(name, f"s3://models/{name}", "SKLEARN_SERVER") for name in ("v1", "v2"))
    return build("wine", [v1], shadow=Shadow(v2)) if request.param else build("wine", [v1, v2])


def planned(strategy: str, deployment: SeldonDeployment, folder: Path) -> Plan:
    (folder / "seldondeployment.yaml").write_text(render(deployment), encoding="utf-8")
    (folder / "rows.csv").write_text("x\n1\n", encoding="utf-8")
    return plan_of(parse(_FILE.format(strategy=strategy).encode(), source="e.yaml", folder=folder))


def shadows(deployment: SeldonDeployment) -> dict[str, int | None]:
    return {each.name: each.traffic for each in deployment.spec.predictors if each.shadow}


@pytest.mark.parametrize("strategy", _STRATEGIES)
def test_who_loses_is_removed_whatever_the_strategy(
    strategy: str, by_hand: SeldonDeployment, tmp_path: Path
) -> None:
    plan = planned(strategy, by_hand, tmp_path)
    for action, stays in ((Effect.ROLLBACK, "v1"), (Effect.PROMOTE, "v2")):
        after, _ = plan.after(action, 0, "v2")
        assert [predictor.name for predictor in after.spec.predictors] == [stays]
        assert weights(after) == {stays: 100}


@pytest.mark.parametrize("strategy", _STRATEGIES)
def test_seldon_core_takes_every_stage(strategy: str, by_hand: SeldonDeployment, tmp_path: Path) -> None:
    plan = planned(strategy, by_hand, tmp_path)
    stages = [plan.at_step(number)[0] for number in range(len(plan.steps))]
    stages += [plan.after(action, 0, "v2")[0] for action in (Effect.ROLLBACK, Effect.PROMOTE, Effect.HOLD)]
    assert [finding for stage in stages for finding in check(stage) if finding.refused] == []


def test_a_shadow_gets_copies_and_no_traffic(by_hand: SeldonDeployment, tmp_path: Path) -> None:
    deployment, _ = planned("{shadow: {percent: 40}}", by_hand, tmp_path).at_step(0)
    assert shadows(deployment) == {"v2": 40}
    assert weights(deployment) == {"v1": 100}


def test_what_is_exchanged_stands_beside_without_traffic(by_hand: SeldonDeployment, tmp_path: Path) -> None:
    plan = planned("{blueGreen: {}}", by_hand, tmp_path)
    before, _ = plan.at_step(0)
    after, _ = plan.switched("v2")
    assert (shadows(before), shadows(after)) == ({}, {})
    assert weights(before) == {"v1": 100, "v2": 0}
    assert weights(after) == {"v1": 0, "v2": 100}
