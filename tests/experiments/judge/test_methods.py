"""The four methods, on the same observations."""

import dataclasses
import functools

import pytest
from experiments.streams import ACCURACY, ERRORS, Load, chunks, spec
from fairtrial.judge.spec import JudgeSpec, Kind, Margin, Method, Spending
from fairtrial.judge.verdict import Decision, Verdict
from fairtrial.judging import judge_stream

LOOSE_ERRORS = dataclasses.replace(ERRORS, margin=Margin(0.02))
PLAN = spec(ACCURACY, LOOSE_ERRORS)


def plan(method: Method, looks: int | None = None, spending: Spending = Spending.OBRIEN_FLEMING) -> JudgeSpec:
    return dataclasses.replace(
        PLAN, method=method, spending=spending, planned_looks=looks or PLAN.planned_looks
    )


PLANS = {
    Method.SEQUENTIAL: plan(Method.SEQUENTIAL),
    Method.ALWAYS_VALID: plan(Method.ALWAYS_VALID),
    Method.GROUP_SEQUENTIAL: plan(Method.GROUP_SEQUENTIAL, looks=5),
    Method.FIXED_HORIZON: plan(Method.FIXED_HORIZON),
}


@functools.cache
def verdicts(method: Method, load: Load) -> tuple[Verdict, ...]:
    return tuple(j.verdicts[0] for j in judge_stream(PLANS[method], chunks(load.table())))


@pytest.mark.parametrize("method", Method)
def test_every_method_promotes_a_much_better_candidate(method: Method):
    assert verdicts(method, Load())[-1].decision is Decision.PROMOTE


@pytest.mark.parametrize("method", Method)
def test_every_method_rolls_back_a_much_worse_candidate(method: Method):
    assert verdicts(method, Load(accuracy=(0.95, 0.85)))[-1].decision is Decision.ROLLBACK


@pytest.mark.parametrize("method", Method)
def test_every_method_leaves_two_equal_models_undecided(method: Method):
    final = verdicts(method, Load(accuracy=(0.9, 0.9)))[-1]
    assert final.decision is Decision.INCONCLUSIVE
    assert final.method == method.value


def test_a_fixed_horizon_is_judged_once_and_says_so_until_then():
    *early, final = verdicts(Method.FIXED_HORIZON, Load())
    assert all(verdict.decision is Decision.CONTINUE for verdict in early)
    waiting = early[-1].metrics[0].waiting
    assert waiting == "it is judged once, at the horizon"
    assert [claim.looks for claim in final.metrics[0].claims] == [1, 1]


def test_a_fixed_horizon_names_its_tests():
    final = verdicts(Method.FIXED_HORIZON, Load())[-1]
    assert all(metric.test for metric in final.metrics)


def test_a_group_sequential_design_tests_no_more_often_than_planned():
    final = verdicts(Method.GROUP_SEQUENTIAL, Load(accuracy=(0.9, 0.9)))[-1]
    # looks before the first test are followed too; boundaries exist at the planned ones only
    assert final.look > 5
    crossed = verdicts(Method.GROUP_SEQUENTIAL, Load())[-1]
    met = next(claim for claim in crossed.metrics[0].claims if claim.claim == "met")
    assert met.crossed_at_look is not None
    assert met.statistic is not None
    assert met.boundary is not None
    assert met.statistic >= met.boundary


def test_always_valid_needs_more_than_the_calibrated_boundary():
    load = Load()
    assert verdicts(Method.SEQUENTIAL, load)[-1].look <= verdicts(Method.ALWAYS_VALID, load)[-1].look


def test_assumptions_say_how_the_rate_is_kept():
    said = {method: verdicts(method, Load())[-1].assumptions[0] for method in Method}
    assert said[Method.SEQUENTIAL].startswith("However often the evidence is looked at up to the horizon")
    assert said[Method.ALWAYS_VALID].startswith("However often and however long")
    assert "5 planned looks" in said[Method.GROUP_SEQUENTIAL]
    assert said[Method.FIXED_HORIZON].startswith("Judged once")


def test_an_slo_that_nobody_ever_exceeds_is_safe():
    """No exceedance says nothing of how they would clump, and all the more of how rare they are."""
    slo = dataclasses.replace(
        ERRORS, name="latency", column="latency", slo=10.0, margin=Margin(0.02), max_observations=12_000
    )
    final = [j.verdicts[0] for j in judge_stream(spec(slo), chunks(Load().table()))][-1]
    assert final.decision is Decision.PROMOTE
    assert "share of latency above 10 s is safe" in final.reasons[0]


def test_a_capped_metric_has_its_uncapped_result_beside_it():
    reward = dataclasses.replace(
        ERRORS,
        name="reward",
        column="latency",
        kind=Kind.MEAN,
        margin=Margin(0.1, relative=True),
        cap=0.02,
        max_observations=12_000,
    )
    final = [j.verdicts[0] for j in judge_stream(spec(reward), chunks(Load().table()))][-1]
    (metric,) = final.metrics
    assert metric.uncapped is not None
    assert metric.baseline is not None
    assert metric.uncapped.cap == 0.02
    assert metric.uncapped.baseline > metric.baseline
    assert final.reasons[-1].startswith("Without its cap, which was set beforehand, mean reward of v2 is ")
    assert any("above 20 ms count as 20 ms" in each for each in final.assumptions)
