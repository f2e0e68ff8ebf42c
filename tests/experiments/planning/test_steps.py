"""Strategies as splits, for one candidate and for several."""

from pathlib import Path

import pytest
from fairtrial.calibration.trial import against_itself
from fairtrial.controller.progression import Shadow
from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.reading import parse
from fairtrial.planning.claims import claims_of, horizon
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


def experiment(strategy: str, candidates: int, *, objective: bool = False) -> Experiment:
    arms = ", ".join(f"{{name: v{i}, modelUri: m{i}}}" for i in range(2, candidates + 2))
    text = _FILE.format(strategy=strategy, candidates=arms)
    if objective:
        text = text.replace("{name: errorRate}", "{name: errorRate, role: objective}")
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
        ("{abTest: {weights: {v3: 20, v1: 50, v2: 30}}}", 2, [{"v1": 50, "v2": 30, "v3": 20}]),
        (
            "{canary: {stepWeight: 20, maxWeight: 50}}",
            1,
            [{"v1": 80, "v2": 20}, {"v1": 60, "v2": 40}, {"v1": 50, "v2": 50}],
        ),
        ("{canary: {stepWeight: 50}}", 1, [{"v1": 50, "v2": 50}]),
        ("{shadow: {}}", 1, [{"v1": 100, "v2": 0}]),
        ("{blueGreen: {}}", 1, [{"v1": 100, "v2": 0}]),
    ],
)
def test_candidates_share_their_weight_evenly(
    strategy: str, candidates: int, weights: list[dict[str, int]]
) -> None:
    steps = steps_of(experiment(strategy, candidates))
    assert [dict(step.weights) for step in steps] == weights
    assert all(sum(step.weights.values()) == 100 for step in steps)


def test_equal_steps_share_their_pause_and_their_least_requests() -> None:
    steps = steps_of(experiment("{canary: {stepWeight: 25, pause: 3s, minRequests: 7}}", 1))
    assert [(step.pause, step.min_requests) for step in steps] == [(3.0, 7), (3.0, 7)]


def test_a_copy_of_the_baseline_gets_what_all_candidates_had() -> None:
    copied = against_itself(experiment("{abTest: {weights: {v1: 40, v2: 40, v3: 20}}}", 2))
    assert [dict(step.weights) for step in steps_of(copied)] == [{"v1": 40, "v1-again": 60}]


def test_a_bandit_begins_with_the_even_division_and_may_come_to_any_other() -> None:
    parsed = experiment("{bandit: {every: 2s, minRequests: 7}}", 2, objective=True)
    steps = steps_of(parsed)
    assert dict(steps[0].weights) == {"v1": 35, "v2": 35, "v3": 30}
    assert steps[0].revision == "split-35-35-30"
    assert {(step.pause, step.min_requests) for step in steps} == {(2.0, 7)}
    weights = {tuple(step.weights.values()) for step in steps}
    assert len(weights) == len(steps) == 120
    assert {sum(each) for each in weights} == {100}
    assert min(min(each) for each in weights) == 10
    assert horizon(parsed, steps) == horizon(parsed, steps[:1])


def test_a_bandit_that_could_divide_the_traffic_in_too_many_ways_is_refused() -> None:
    with pytest.raises(UsageError, match=r"bandit.floor: 5 arms at no less than 5% .* 3,876 ways"):
        experiment("{bandit: {floor: 5}}", 4, objective=True)


@pytest.mark.parametrize(
    ("strategy", "shadow"),
    [
        ("{shadow: {percent: 30}}", Shadow("v2", 30)),
        ("{blueGreen: {preview: shadow}}", Shadow("v2", 100)),
        ("{blueGreen: {}}", None),
    ],
)
def test_only_a_shadow_gets_copies(strategy: str, shadow: Shadow | None) -> None:
    assert [step.shadow for step in steps_of(experiment(strategy, 1))] == [shadow]


def test_pairs_are_the_horizon_where_the_split_sends_nobody_to_the_candidate() -> None:
    pairs, smaller = horizon(parsed := experiment("{shadow: {}}", 1), steps_of(parsed))
    assert pairs == smaller == 10_800  # 120 s at 100/s, a tenth of which goes through the split


def test_a_bandit_is_not_judged_by_user_because_it_moves_users() -> None:
    text = _FILE.format(strategy="{bandit: {}}", candidates="{name: v2, modelUri: b}")
    text = text.replace("{name: errorRate}", "{name: errorRate, role: objective}") + (
        "  traffic: {loadTest: {requests: {unit: customer}}}\n  analysis: {unit: user}\n"
    )
    with pytest.raises(UsageError, match=r"spec.analysis.unit: a bandit moves users from arm to arm"):
        parse(text.encode(), source="e.yaml", folder=Path(), check_files=False)


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
