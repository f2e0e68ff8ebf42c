"""Exceedances of an SLO, caps, ratios, covariates and counts, a request at a time."""

import numpy as np
import pyarrow as pa
import pytest
from experiments.evidence.naive import moments
from experiments.streams import START, spec
from fairtrial.evidence.builder import EvidenceBuilder
from fairtrial.judge.evidence import Evidence, Excluded, Exclusion, merge
from fairtrial.judge.spec import Kind, Margin, MetricSpec, Role
from hypothesis import given, settings
from hypothesis import strategies as st

NAN, INF = float("nan"), float("inf")


def metric(name: str, kind: Kind, column: str, **more) -> MetricSpec:
    return MetricSpec(name, kind, Role.GUARDRAIL, column, False, Margin(0.1), max_observations=9000, **more)


SLOW = metric("slow", Kind.BINARY, "latency", slo=0.5)
CAPPED = metric("capped", Kind.MEAN, "spend", cap=10.0)
CLICKS = metric("clicks", Kind.RATIO, "clicks", denominator="views")
ADJUSTED = metric("adjusted", Kind.MEAN, "spend", covariate="before")
ADJUSTED_RATIO = metric("share", Kind.RATIO, "clicks", denominator="views", covariate="before")
ALARMS = metric("alarms", Kind.COUNT, "alarms")
PLAN = spec(SLOW, CAPPED, CLICKS, ADJUSTED, ADJUSTED_RATIO, ALARMS, batch_seconds=1.0)


def observed(*metrics: MetricSpec, **columns) -> Evidence:
    """Evidence of a few observations in one stratum; columns that are not given are harmless."""
    n = len(next(iter(columns.values())))
    table = {
        "arm": ["v1"] * n,
        "time": [START + i * 0.001 for i in range(n)],
        "latency": [0.01] * n,
        "status": [200] * n,
    } | columns
    builder = EvidenceBuilder(spec(*metrics))
    builder.add(pa.table(table))
    return builder.evidence


def told(evidence: Evidence, reason: Exclusion) -> int:
    return sum(n for each, n in evidence.excluded.items() if each.reason is reason)


def test_an_slo_is_exceeded_by_what_is_slower_and_by_what_failed():
    evidence = observed(SLOW, latency=[0.4, 0.5, 0.6, 0.01, NAN, -1.0], status=[200, 200, 200, 500, 200, 200])
    assert evidence.binary["slow"][0, 0].tolist() == [4, 2]
    assert told(evidence, Exclusion.UNUSABLE_VALUE) == 2


def test_a_cap_holds_large_values_and_the_raw_ones_are_kept_beside():
    evidence = observed(CAPPED, spend=[1.0, 2.0, 1e9])
    np.testing.assert_allclose(evidence.moments["capped"][0, 0], moments([(1.0,), (2.0,), (10.0,)]))
    np.testing.assert_allclose(evidence.uncapped["capped"][0, 0], moments([(1.0,), (2.0,), (1e9,)]))


def test_a_cap_on_pairs_holds_both_halves():
    paired = metric("capped", Kind.MEAN, "spend", cap=10.0, paired=True)
    evidence = observed(paired, arm=["v1", "v2"] * 2, pair=[1, 1, 2, 2], spend=[1.0, 50.0, 70.0, 3.0])
    np.testing.assert_allclose(evidence.pair_moments["capped"][0, 0], moments([(1.0, 10.0), (10.0, 3.0)]))
    np.testing.assert_allclose(evidence.uncapped["capped"][0, 0], moments([(1.0, 50.0), (70.0, 3.0)]))


def test_a_ratio_has_the_joint_moments_of_answered_requests():
    columns = {"clicks": [1.0, 0.0, 3.0, 9.0, 1.0], "views": [4.0, 2.0, 5.0, 9.0, NAN]}
    evidence = observed(CLICKS, **columns, status=[200, 200, 200, 500, 200])
    np.testing.assert_allclose(evidence.joint["clicks"][0, 0], moments([(1, 4), (0, 2), (3, 5)]))
    assert evidence.excluded[Excluded(Exclusion.FAILED, "clicks", "v1")] == 1
    assert told(evidence, Exclusion.UNUSABLE_VALUE) == 1


def test_a_covariate_is_beside_the_value_and_needed_with_it():
    before = pa.array([1.0, 5.0, None, 2.0])
    evidence = observed(ADJUSTED, spend=[2.0, 4.0, 6.0, INF], before=before)
    expected = moments([(2.0, 1.0), (4.0, 5.0)])
    np.testing.assert_allclose(evidence.joint["adjusted"][0, 0], expected)
    assert told(evidence, Exclusion.ABSENT_VALUE) == told(evidence, Exclusion.UNUSABLE_VALUE) == 1


def test_a_ratio_with_a_covariate_has_three_variables():
    rows = [(1.0, 4.0, 2.0), (0.0, 2.0, 7.0), (3.0, 5.0, 1.0)]
    clicks, views, before = (list(column) for column in zip(*rows, strict=True))
    evidence = observed(ADJUSTED_RATIO, clicks=clicks, views=views, before=before)
    np.testing.assert_allclose(evidence.joint["share"][0, 0], moments(rows))


@pytest.mark.parametrize("value", [-1.0, 0.5, NAN, INF, 1e15])
def test_counts_are_whole_numbers_that_are_not_negative(value):
    evidence = observed(ALARMS, alarms=[2.0, 0.0, value, 3.0])
    assert evidence.counts["alarms"][0, 0].tolist() == [3, 5]
    assert told(evidence, Exclusion.UNUSABLE_VALUE) == 1


def test_a_metric_without_its_columns_has_no_values():
    evidence = observed(CLICKS, ALARMS, status=[200, 200])
    assert not evidence.joint["clicks"].any()
    assert not evidence.counts["alarms"].any()
    assert told(evidence, Exclusion.ABSENT_VALUE) == 4


ROW = st.tuples(
    st.integers(0, 1),
    st.sampled_from([0.0, 0.7, 1.2, 3.1]),
    st.sampled_from([0.01, 0.5, 2.0, NAN]),
    st.sampled_from([200, 200, 200, 500]),
    st.sampled_from([0.0, 1.0, 25.0, NAN]),
    st.integers(0, 5),
)


def table_of(rows) -> pa.Table:
    arm, time, latency, status, spend, events = zip(*rows, strict=True) if rows else ([],) * 6
    return pa.table(
        {
            "arm": pa.array([f"v{a + 1}" for a in arm], pa.string()),
            "time": pa.array([START + t for t in time], pa.float64()),
            "latency": pa.array(latency, pa.float64()),
            "status": pa.array(status, pa.int64()),
            "spend": pa.array(spend, pa.float64()),
            "before": pa.array([e * 0.5 for e in events], pa.float64()),
            "clicks": pa.array(events, pa.float64()),
            "views": pa.array([e + 1 for e in events], pa.float64()),
            "alarms": pa.array(events, pa.int64()),
        }
    )


def built(rows) -> EvidenceBuilder:
    builder = EvidenceBuilder(PLAN, origin=START)
    builder.add(table_of(rows))
    return builder


@settings(max_examples=40, deadline=None)
@given(first=st.lists(ROW, max_size=12), second=st.lists(ROW, max_size=12))
def test_two_halves_merged_are_the_whole(first, second):
    whole = built(first + second).evidence
    builder = built(first)
    builder.merge(built(second))
    for merged in (merge(built(first).evidence, built(second).evidence), builder.evidence):
        order = [merged.strata.index(stratum) for stratum in whole.strata]
        assert len(merged.strata) == len(whole.strata)
        for group in ("binary", "counts"):
            for name, table in getattr(whole, group).items():
                assert np.array_equal(getattr(merged, group)[name][order], table)
        for group in ("moments", "uncapped", "joint"):
            for name, table in getattr(whole, group).items():
                np.testing.assert_allclose(getattr(merged, group)[name][order], table, rtol=1e-9, atol=1e-9)
        assert merged.excluded == whole.excluded
