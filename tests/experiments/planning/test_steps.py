"""Strategies as splits, for one candidate and for several."""

from pathlib import Path

import pytest
from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.reading import parse
from fairtrial.planning.claims import claims_of
from fairtrial.planning.load import check_measured
from fairtrial.planning.steps import steps_of

_FILE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  baseline: {{name: v1, modelUri: a}}
  candidates: [{candidates}]
  strategy: {strategy}
  metrics: [{{name: errorRate}}]
"""


def experiment(strategy: str, candidates: int) -> Experiment:
    arms = ", ".join(f"{{name: v{i}, modelUri: m{i}}}" for i in range(2, candidates + 2))
    text = _FILE.format(strategy=strategy, candidates=arms)
    return parse(text.encode(), source="e.yaml", folder=Path(), check_files=False)


@pytest.mark.parametrize(
    ("strategy", "candidates", "weights"),
    [
        ("{abTest: {}}", 1, [{"v1": 50, "v2": 50}]),
        ("{abTest: {weight: 20}}", 1, [{"v1": 80, "v2": 20}]),
        ("{abTest: {}}", 2, [{"v1": 33, "v2": 34, "v3": 33}]),
        ("{abTest: {weight: 20}}", 3, [{"v1": 80, "v2": 7, "v3": 7, "v4": 6}]),
        (
            "{canary: {steps: [{setWeight: 10}, {setWeight: 50}]}}",
            2,
            [{"v1": 90, "v2": 5, "v3": 5}, {"v1": 50, "v2": 25, "v3": 25}],
        ),
    ],
)
def test_candidates_share_their_weight_evenly(
    strategy: str, candidates: int, weights: list[dict[str, int]]
) -> None:
    steps = steps_of(experiment(strategy, candidates))
    assert [dict(step.weights) for step in steps] == weights
    assert all(sum(step.weights.values()) == 100 for step in steps)


def test_a_metric_by_user_has_its_horizon_in_users() -> None:
    text = _FILE.format(strategy="{abTest: {}}", candidates="{name: v2, modelUri: b}") + (
        "  traffic: {loadTest: {paired: false, requests: {unit: customer}}}\n"
        "  sticky: {header: x-user}\n"
        "  analysis: {unit: user}\n"
    )
    parsed = parse(text.encode(), source="e.yaml", folder=Path(), check_files=False)
    (metric,) = claims_of(parsed, steps_of(parsed), rows=10_000, users=600).metrics
    assert metric.by_unit
    assert metric.max_observations == 300


def test_a_column_that_no_load_test_measures_is_refused_before_anything_is_started() -> None:
    text = _FILE.format(strategy="{abTest: {}}", candidates="{name: v2, modelUri: b}").replace(
        "[{name: errorRate}]", "[{name: clicks, denominator: views, direction: increase}]"
    )
    parsed = parse(text.encode(), source="e.yaml", folder=Path(), check_files=False)
    with pytest.raises(UsageError, match="needs the column clicks, which a load test does not measure"):
        check_measured(parsed)
