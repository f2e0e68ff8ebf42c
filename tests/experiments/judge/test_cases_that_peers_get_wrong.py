"""Inputs on which canary judges, A/B libraries and dashboards are known to give a wrong or no answer."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from experiments.streams import ACCURACY, ERRORS, LATENCY, START, Load, chunks, spec
from fairtrial.judge.spec import Kind, Margin, MetricSpec, Role
from fairtrial.judge.verdict import Decision, Verdict
from fairtrial.judging import judge_stream

VALUE = MetricSpec(
    "value", Kind.MEAN, Role.GUARDRAIL, "value", False, Margin(0.1, relative=True), max_observations=2000
)
UNPAIRED = dataclasses.replace(ACCURACY, paired=False, once_per_row=False, max_observations=4000)
SLOW = dataclasses.replace(LATENCY, max_observations=4000)
ERROR_RATE = dataclasses.replace(ERRORS, margin=Margin(0.02), max_observations=4000)


def stream(baseline, candidate, *, column="value", seconds=40.0, **columns) -> pa.Table:
    """Both arms' values in turn, spread evenly over time."""
    values = np.stack([baseline, candidate], axis=1).ravel().astype(float)
    return pa.table(
        {
            "arm": ["v1", "v2"] * len(baseline),
            "time": START + np.linspace(0, seconds, values.size, endpoint=False),
            "latency": np.full(values.size, 0.01),
            "status": np.full(values.size, 200, np.int16),
            "id": [f"r{i}" for i in range(values.size)],
            column: values,
        }
        | columns
    )


def last_verdict(plan, table: pa.Table) -> Verdict:
    *_, last = judge_stream(plan, chunks(table))
    return last.verdicts[0]


def plan(*metrics, **changes):
    return spec(*metrics, weights={}, **changes)


def test_a_candidate_at_100_in_7_of_10_points_against_a_baseline_of_all_1_is_rolled_back():
    points = np.tile([100.0] * 7 + [1.0] * 3, 40)
    verdict = last_verdict(plan(VALUE), stream(np.ones(400), points))
    assert verdict.decision is Decision.ROLLBACK
    assert "value of v2 is " in verdict.reasons[0]


def test_ten_points_are_too_few_to_say_anything():
    points = np.array([100.0] * 7 + [1.0] * 3)
    verdict = last_verdict(plan(VALUE), stream(np.ones(10), points))
    assert verdict.decision is Decision.INCONCLUSIVE
    assert any("10 requests; 100 are needed" in reason for reason in verdict.reasons)


def test_a_baseline_with_no_errors_at_all_against_a_failing_candidate():
    verdict = last_verdict(plan(ERROR_RATE), Load(failing=(0.0, 0.15)).table())
    assert verdict.decision is Decision.ROLLBACK
    assert "against 0% of v1" in verdict.reasons[0]


def test_no_errors_on_either_side_are_safe_in_the_end():
    verdict = last_verdict(plan(ERROR_RATE), Load(failing=(0.0, 0.0)).table())
    assert verdict.decision is Decision.PROMOTE


@pytest.mark.parametrize(
    ("baseline", "candidate", "decision"),
    [(1.0, 1.0, Decision.PROMOTE), (1.0, 2.0, Decision.ROLLBACK), (0.0, 0.0, None)],
)
def test_constant_samples(baseline, candidate, decision):
    verdict = last_verdict(plan(VALUE), stream(np.full(400, baseline), np.full(400, candidate)))
    assert verdict.decision is (decision or Decision.INCONCLUSIVE)


@pytest.mark.parametrize("times", [1, 200])
def test_0_1_2_1_0_0_against_zeros(times):
    candidate = np.tile([0.0, 1, 2, 1, 0, 0], times)
    absolute = dataclasses.replace(VALUE, margin=Margin(0.1))
    verdict = last_verdict(plan(absolute), stream(np.zeros(candidate.size), candidate))
    assert verdict.decision is (Decision.INCONCLUSIVE if times == 1 else Decision.ROLLBACK)


def test_0_1_2_1_0_0_against_zeros_has_no_ratio():
    verdict = last_verdict(plan(VALUE), stream(np.zeros(1200), np.tile([0.0, 1, 2, 1, 0, 0], 200)))
    assert verdict.decision in (Decision.ROLLBACK, Decision.INCONCLUSIVE)
    assert verdict.metrics[0].effect is None


def test_no_traffic_on_the_candidate_is_no_evidence():
    table = Load(seconds=20).table()
    only_baseline = table.filter(pa.array(np.array(table["arm"].to_pylist()) == "v1"))
    for each in (plan(ERROR_RATE, SLOW), spec(ERROR_RATE, SLOW)):
        verdict = last_verdict(each, only_baseline)
        assert verdict.decision is Decision.INCONCLUSIVE
        assert verdict.reasons[0] == "INCONCLUSIVE: no requests reached v2, and no traffic is no evidence."


def test_no_traffic_on_the_baseline_is_no_evidence_either():
    table = Load(seconds=20).table()
    only_candidate = table.filter(pa.array(np.array(table["arm"].to_pylist()) == "v2"))
    verdict = last_verdict(plan(ERROR_RATE, SLOW), only_candidate)
    assert verdict.decision is Decision.INCONCLUSIVE
    assert any("v1 has 0 requests" in reason for reason in verdict.reasons)


@pytest.mark.parametrize("arm", [0, 1])
def test_one_outlier_of_a_billion_decides_nothing(arm):
    rng = np.random.default_rng(1)
    values = rng.normal(10, 1, (2, 600))
    values[arm, 300] = 1e9
    verdict = last_verdict(plan(VALUE), stream(*values))
    claims = verdict.metrics[0].claims
    assert verdict.decision is not Decision.ROLLBACK
    assert all(abs(claim.statistic) < 40 for claim in claims)
    # Before it the evidence may have crossed; after it nothing may.
    assert all(claim.crossed_at_look is None or claim.crossed_at_look <= 20 for claim in claims)


def test_one_outlier_of_a_billion_does_not_move_a_quantile():
    rng = np.random.default_rng(1)
    latency = rng.lognormal(-5, 0.3, 4000)
    latency[2001] = 1e9
    table = stream(np.zeros(2000), np.zeros(2000), latency=latency)
    verdict = last_verdict(plan(dataclasses.replace(SLOW, max_observations=2000)), table)
    assert abs(verdict.metrics[0].effect) < 0.15
    assert verdict.decision is not Decision.ROLLBACK


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_few_nan_and_infinite_scores_are_kept_out_and_said_so(bad):
    rng = np.random.default_rng(2)
    scores = (rng.random((2, 1500)) < [[0.8], [0.95]]).astype(float)
    scores[1, ::100] = bad
    verdict = last_verdict(plan(UNPAIRED), stream(*scores, column="score"))
    assert verdict.decision is Decision.PROMOTE
    assert any("of accuracy of v2 that cannot be used" in note for note in verdict.notes)


def test_a_candidate_with_many_nan_scores_is_not_promoted_on_the_rest():
    rng = np.random.default_rng(2)
    scores = (rng.random((2, 1500)) < [[0.8], [0.95]]).astype(float)
    scores[1, scores[1] == 0] = np.nan  # what it gets wrong, it does not say
    scores[1, ::11] = np.nan
    verdict = last_verdict(plan(UNPAIRED), stream(*scores, column="score"))
    assert verdict.decision is Decision.INCONCLUSIVE
    assert any("what is left is no fair sample" in reason for reason in verdict.reasons)


def test_a_candidate_without_an_answer_to_what_is_hard_is_not_promoted_on_the_rest():
    rng = np.random.default_rng(2)
    error = rng.exponential(1.0, (2, 1500))
    null = np.stack([np.zeros(1500, bool), error[1] > 2.0], axis=1).ravel()
    metric = dataclasses.replace(VALUE, role=Role.OBJECTIVE, margin=Margin(0.0))
    table = stream(*error)
    values = pa.array(np.array(table["value"].to_pylist()), mask=null)
    verdict = last_verdict(
        plan(metric), table.set_column(table.schema.get_field_index("value"), "value", values)
    )
    assert verdict.decision is Decision.INCONCLUSIVE
    assert any("value is missing in 1" in reason for reason in verdict.reasons)


def test_duplicated_observations_are_not_more_evidence():
    table = Load(seconds=10, failing=(0.0, 0.02)).table()
    once, many = (
        last_verdict(plan(ERROR_RATE), t) for t in (table, pa.concat_tables([table] * 4).sort_by("time"))
    )
    assert [m.n_candidate for m in many.metrics] == [m.n_candidate for m in once.metrics]
    assert [c.statistic for c in many.metrics[0].claims] == [c.statistic for c in once.metrics[0].claims]
    assert any("with the id of an earlier one" in note for note in many.notes)


def test_a_clock_that_goes_backwards_loses_observations_but_not_the_run():
    table = Load(seconds=20).table()
    times = np.array(table["time"].to_pylist())
    times[len(times) // 2 :] -= 3600
    broken = table.set_column(table.schema.get_field_index("time"), "time", pa.array(times))
    verdict = last_verdict(plan(ERROR_RATE), broken)
    assert verdict.decision is Decision.INCONCLUSIVE
    assert verdict.look in (10, 11)
    assert any("as if the clock had gone backwards" in note for note in verdict.notes)


def test_a_candidate_that_answers_faster_because_it_fails_gains_nothing():
    objective = dataclasses.replace(SLOW, role=Role.OBJECTIVE, margin=Margin(0.0))
    mean = dataclasses.replace(objective, name="meanLatency", kind=Kind.MEAN, quantile=None)
    table = Load(failing=(0.0, 0.3), median=(0.01, 0.01), seconds=40).table()
    verdict = last_verdict(plan(objective), table)
    assert verdict.decision is Decision.ROLLBACK
    assert verdict.metrics[0].candidate == float("inf")
    assert "infinite" in verdict.reasons[0]
    mean_verdict = last_verdict(plan(mean), table)
    assert mean_verdict.decision is not Decision.PROMOTE
    assert any("failed requests of v2 were left out of meanLatency" in note for note in mean_verdict.notes)


def test_negative_latencies_do_not_make_a_candidate_fast():
    rng = np.random.default_rng(3)
    latency = rng.lognormal(-5, 0.3, 4000)
    latency[1::40] = -1.0
    objective = dataclasses.replace(SLOW, role=Role.OBJECTIVE, margin=Margin(0.0), max_observations=2000)
    table = stream(np.zeros(2000), np.zeros(2000), latency=latency, seconds=20)
    verdict = last_verdict(plan(objective), table)
    assert verdict.decision is Decision.INCONCLUSIVE
    assert any("of latency of v2 that cannot be used" in note for note in verdict.notes)


def test_a_baseline_that_is_down_is_not_beaten():
    table = Load(failing=(0.9, 0.0), seconds=40).table()
    verdict = last_verdict(plan(dataclasses.replace(ERROR_RATE, role=Role.OBJECTIVE)), table)
    assert verdict.decision is Decision.INCONCLUSIVE
    assert any("of the requests to v1 failed" in gate.message for gate in verdict.gates if not gate.passed)
