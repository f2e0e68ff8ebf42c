"""How a bandit divides the traffic."""

from dataclasses import replace

import pytest
from experiments.verdicts import a_metric, a_verdict
from fairtrial.controller.allocation import divided, reallocate
from fairtrial.controller.progression import Position, Step
from fairtrial.judge.verdict import Decision, SampleRatio, Verdict

TWO = tuple(Step(f"split-{100 - v}-{v}", {"v1": 100 - v, "v2": v}, 5, 100) for v in range(10, 95, 5))
EVEN = Position(next(i for i, step in enumerate(TWO) if step.weights["v2"] == 50))


def _at(elapsed: float, effect: float | None, error: float = 0.01, **changes: object) -> Verdict:
    metric = a_metric("accuracy", effect=effect, standard_error=error)
    return a_verdict(elapsed, int(elapsed * 100), metrics=(metric,), **changes)


def _share(position: Position) -> int:
    return TWO[position.step].weights["v2"]


@pytest.mark.parametrize(("effect", "share"), [(0.0, 50), (0.01, 75), (0.1, 90), (-0.1, 10), (-0.005, 35)])
def test_an_arm_gets_by_its_chance_to_be_best_and_at_least_the_floor(effect: float, share: int):
    assert _share(reallocate(EVEN, TWO, [_at(5, effect)], "accuracy", 10)) == share


def test_where_less_is_better_the_sign_turns():
    verdict = _at(5, 0.1)
    (metric,) = verdict.metrics
    lower = replace(verdict, metrics=(replace(metric, higher_is_better=False),))
    assert _share(reallocate(EVEN, TWO, [lower], "accuracy", 10)) == 10


def test_the_traffic_stays_until_the_time_is_over_and_there_is_an_estimate():
    broken = SampleRatio({"v1": 0.5, "v2": 0.5}, {"v1": 90, "v2": 10}, 1e9, 1e3, mismatch=True)
    for verdict in (
        _at(4, 0.1),
        _at(6, None),
        _at(6, 0.1, error=0.0),
        _at(6, 0.1, sample_ratio=broken),
        _at(6, 0.1, decision=Decision.PROMOTE),
    ):
        assert reallocate(EVEN, TWO, [verdict], "accuracy", 10) == EVEN


def test_the_next_division_is_as_far_away_as_any_where_nothing_moved():
    assert reallocate(EVEN, TWO, [_at(6, 0.0)], "accuracy", 10) == Position(EVEN.step, 6, 600)


def test_an_arm_that_has_its_verdict_keeps_the_floor():
    weights = ((35, 35, 30), (10, 10, 80), (80, 10, 10), (10, 80, 10), (25, 65, 10))
    steps = tuple(Step(str(w), dict(zip(("v1", "v2", "v3"), w, strict=True)), 0, 0) for w in weights)
    rejected = replace(_at(5, -0.2), candidate="v3", decision=Decision.ROLLBACK)
    moved = reallocate(Position(), steps, [_at(5, 0.2), rejected], "accuracy", 10)
    assert steps[moved.step].weights == {"v1": 10, "v2": 80, "v3": 10}
    assert reallocate(Position(), steps, [_at(5, 0.2)], "accuracy", 10).step == moved.step


@pytest.mark.parametrize(
    ("chances", "weights"),
    [
        ((1.0, 0.0, 0.0), (80, 10, 10)),
        ((1 / 3, 1 / 3, 1 / 3), (35, 35, 30)),
        ((0.02, 0.49, 0.49), (10, 45, 45)),
    ],
)
def test_shares_are_whole_units_and_sum_to_100(chances: tuple[float, ...], weights: tuple[int, ...]):
    arms = ("v1", "v2", "v3")
    assert divided(dict(zip(arms, chances, strict=True)), 10) == dict(zip(arms, weights, strict=True))
