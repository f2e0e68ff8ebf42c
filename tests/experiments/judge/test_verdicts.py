"""Whole stories, from observations to the verdict."""

import dataclasses
import functools

import pyarrow as pa
import pytest
from experiments.streams import ACCURACY, ERRORS, LATENCY, Load, chunks, spec
from fairtrial.judge.spec import Margin, Role
from fairtrial.judge.verdict import Decision, Verdict
from fairtrial.judging import StreamJudge, judge_stream

# A looser error margin: 10 expected errors then come sooner.
LOOSE_ERRORS = dataclasses.replace(ERRORS, margin=Margin(0.02))
PLAN = spec(ACCURACY, LATENCY, LOOSE_ERRORS)


@functools.cache
def verdicts(load: Load) -> tuple[Verdict, ...]:
    return tuple(judgement.verdicts[0] for judgement in judge_stream(PLAN, chunks(load.table())))


def final(load: Load) -> Verdict:
    return verdicts(load)[-1]


BETTER = Load()
WORSE = Load(accuracy=(0.95, 0.88))
SLOWER = Load(median=(0.01, 0.02))
SAME = Load(accuracy=(0.9, 0.9), rows=500)
SAME_PLAN = spec(dataclasses.replace(ACCURACY, max_observations=500), LATENCY, LOOSE_ERRORS)


def test_a_better_candidate_is_promoted_with_a_sentence_for_each_metric():
    verdict = final(BETTER)
    assert verdict.decision is Decision.PROMOTE
    assert verdict.reasons[0] == (
        "PROMOTE: for v2, objective accuracy is met and guardrails p90 latency and error rate are safe."
    )
    accuracy, latency, errors = verdict.reasons[1:]
    assert accuracy.startswith("accuracy of v2 is 9")
    assert "which exceeds the minimum effect of 1 pp; the evidence crossed its boundary at look" in accuracy
    assert "within the allowed 10%" in latency
    assert "within the allowed 2 pp" in errors


def test_a_worse_candidate_is_rolled_back_soon():
    verdict = final(WORSE)
    assert verdict.decision is Decision.ROLLBACK
    assert verdict.elapsed < 10
    assert verdict.reasons[0].startswith("ROLLBACK: accuracy of v2 is 8")
    assert "lower" in verdict.reasons[0]
    assert "which is worse" in verdict.reasons[0]


def test_a_slower_candidate_is_rolled_back_on_the_guardrail_although_it_is_better():
    verdict = final(SLOWER)
    assert verdict.decision is Decision.ROLLBACK
    assert verdict.reasons[0].startswith("ROLLBACK: p90 latency of v2 is 3")
    assert "slower" in verdict.reasons[0]
    assert "which exceeds the allowed 10%" in verdict.reasons[0]
    claim = next(c for m in verdict.metrics for c in m.claims if c.claim == "harmed" and c.crossed)
    assert claim.crossed_at_look == verdict.look
    assert claim.statistic >= claim.boundary
    assert f"(z {claim.statistic:.2f} against {claim.boundary:.2f})" in verdict.reasons[0]


def test_the_same_model_ends_as_soon_as_its_rows_are_scored_and_its_guardrails_are_safe():
    verdict = [j.verdicts[0] for j in judge_stream(SAME_PLAN, chunks(SAME.table()))][-1]
    assert verdict.decision is Decision.INCONCLUSIVE
    assert verdict.elapsed < 50
    lead, accuracy, *_ = verdict.reasons
    assert lead == "INCONCLUSIVE: no more data of this plan can show that v2 deserves promotion."
    assert "this shows no gain of more than 1 pp" in accuracy
    assert "Every one of the 500 rows has been scored" in accuracy


def test_a_failing_candidate_is_rolled_back_on_errors():
    verdict = final(Load(failing=(0.0, 0.2)))
    assert verdict.decision is Decision.ROLLBACK
    assert any("error rate of v2 is" in reason for reason in verdict.reasons)


def test_a_broken_split_stops_promotion_and_says_where():
    verdict = final(Load(split=0.5, candidate_share=0.3))
    assert verdict.decision is Decision.INCONCLUSIVE
    assert verdict.reasons[0].startswith(
        "INCONCLUSIVE: Sample ratio mismatch in segment s1: the split gave v1 "
    )
    assert verdict.sample_ratio is not None
    assert verdict.sample_ratio.mismatch
    assert verdict.sample_ratio.e_value >= verdict.sample_ratio.threshold == 1000


def test_a_stream_that_ends_early_is_judged_once_more_and_is_over():
    load = Load(seconds=5, accuracy=(0.9, 0.9))
    verdict = final(load)
    assert verdict.decision is Decision.INCONCLUSIVE
    assert verdict.look == 5
    assert verdict.reasons[0].startswith("INCONCLUSIVE: after 5 s of traffic, ")
    assert any("p90 latency was not judged: neighbouring requests are alike" in r for r in verdict.reasons)


def test_no_observations_at_all_are_one_look_at_nothing():
    (judgement,) = judge_stream(PLAN, [])
    (verdict,) = judgement.verdicts
    assert verdict.decision is Decision.INCONCLUSIVE
    assert verdict.reasons[0] == "INCONCLUSIVE: no requests reached v2, and no traffic is no evidence."


def test_every_look_before_the_last_continues_and_says_how_far_it_is():
    *earlier, last = verdicts(BETTER)
    assert {verdict.decision for verdict in earlier} == {Decision.CONTINUE}
    assert earlier[5].reasons[0].startswith("CONTINUE: accuracy is met, p90 latency waits for data")
    assert [verdict.look for verdict in (*earlier, last)] == list(range(1, last.look + 1))


def test_a_crossed_claim_stays_crossed_with_the_figures_of_its_crossing():
    crossings = [
        (claim.crossed_at_look, claim.statistic, claim.boundary)
        for verdict in verdicts(BETTER)
        for claim in verdict.metrics[0].claims
        if claim.claim == "met" and claim.crossed
    ]
    assert len(crossings) > 10
    assert len(set(crossings)) == 1


def test_information_grows_to_1_and_claims_are_not_looked_at_beyond_it():
    tight = dataclasses.replace(ACCURACY, max_observations=300, margin=Margin(0.2))
    plan = spec(tight)
    *_, last = judge_stream(plan, chunks(Load().table()))
    (verdict,) = last.verdicts
    assert verdict.decision is Decision.INCONCLUSIVE
    assert [claim.information for claim in verdict.metrics[0].claims] == [1.0, 1.0]
    assert verdict.metrics[0].n_pairs < 400


def test_intervals_agree_with_the_decisions():
    accuracy, latency, _ = final(BETTER).metrics
    assert accuracy.interval[0] > 0.01
    assert accuracy.level == pytest.approx(0.9)
    assert latency.interval[1] < 0.1


def test_arms_are_summed_up_for_the_report():
    table = BETTER.table()
    verdict = final(BETTER)
    baseline, candidate = verdict.arms
    assert (baseline.name, candidate.name) == ("v1", "v2")
    assert baseline.requests + candidate.requests <= table.num_rows
    assert baseline.latency_p50 == pytest.approx(0.01, rel=0.05)
    assert candidate.latency_p99 == pytest.approx(0.01 * 2.54, rel=0.1)


def test_an_abort_limit_ends_the_run_at_once():
    plan = dataclasses.replace(PLAN, abort_error_rate=0.5, min_observations=5000)
    *_, last = judge_stream(plan, chunks(Load(failing=(0.0, 0.8)).table()))
    (verdict,) = last.verdicts
    assert verdict.decision is Decision.ROLLBACK
    assert verdict.look == 1
    assert "which is over the abort limit of 50%" in verdict.reasons[0]


def test_a_candidate_that_is_decided_is_not_judged_again_while_others_go_on():
    plan = dataclasses.replace(spec(LOOSE_ERRORS), candidates=("v2", "v3"), weights={})
    load = Load(failing=(0.0, 0.5)).table()
    third = Load(seed=4).table()
    third = third.set_column(0, "arm", [["v3" if a == "v2" else "v1" for a in third["arm"].to_pylist()]])
    third = third.set_column(4, "id", [[f"x{i}" for i in range(third.num_rows)]])
    both = pa.concat_tables([load.drop_columns(["pair"]), third.drop_columns(["pair"])]).sort_by("time")
    stream = StreamJudge(plan)
    looks = [judgement for judgement in stream.feed(both)]
    looks += stream.close()
    judged = [tuple(v.candidate for v in look.verdicts) for look in looks]
    assert judged[0] == ("v2", "v3")
    assert judged[-1] == ("v3",)
    assert {v.candidate: v.decision for v in stream.finals} == {
        "v2": Decision.ROLLBACK,
        "v3": Decision.PROMOTE,
    }
    assert stream.finals[0].metrics[0].claims[1].alpha == pytest.approx(0.025)


def test_the_rate_of_rollbacks_is_shared_among_the_claims_against():
    verdict = verdicts(BETTER)[0]
    against = [c.alpha for m in verdict.metrics for c in m.claims if c.claim in ("harmed", "worse")]
    favour = [c.alpha for m in verdict.metrics for c in m.claims if c.claim in ("safe", "met")]
    assert against == [pytest.approx(0.05 / 3)] * 3
    assert favour == [0.05] * 3
    assert {m.role for m in verdict.metrics} == {Role.OBJECTIVE, Role.GUARDRAIL}
