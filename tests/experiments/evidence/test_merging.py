"""Evidence of two parts merged is the evidence of the whole."""

import dataclasses

import numpy as np
import pytest
from experiments.streams import ACCURACY, ERRORS, LATENCY, START, Load, chunks, spec
from fairtrial.evidence.builder import EvidenceBuilder
from fairtrial.judge.evidence import Evidence, merge
from fairtrial.judge.spec import Kind, Margin, MetricSpec, Role
from hypothesis import given, settings
from hypothesis import strategies as st

UNPAIRED = dataclasses.replace(ACCURACY, name="unpaired", paired=False)
MEAN = MetricSpec(
    "latencyMean", Kind.MEAN, Role.GUARDRAIL, "latency", False, Margin(0.1, True), max_observations=9000
)
PAIRED_MEAN = dataclasses.replace(MEAN, name="pairedLatency", paired=True)
SCORE_MEAN = dataclasses.replace(MEAN, name="scoreMean", column="score", once_per_row=True)
PLAN = spec(ACCURACY, UNPAIRED, LATENCY, ERRORS, MEAN, PAIRED_MEAN, SCORE_MEAN, warm_up=1.0)
TABLE = Load(seconds=20, rate=60, rows=300, failing=(0.02, 0.05), seed=3).table().combine_chunks()


def built(table) -> EvidenceBuilder:
    builder = EvidenceBuilder(PLAN, origin=START)
    for batch in chunks(table, 500):
        builder.add(batch)
    return builder


def by_stratum(evidence: Evidence, name: str) -> dict[str, dict[object, list]]:
    """A group of tables with named strata, because two builders may number them differently."""
    return {
        metric: {
            stratum: row.tolist() for stratum, row in zip(evidence.strata, table, strict=True) if row.any()
        }
        for metric, table in getattr(evidence, name).items()
    }


def assert_same(merged: Evidence, whole: Evidence) -> None:
    for group in ("binary", "histograms", "pair_tables"):
        assert by_stratum(merged, group) == by_stratum(whole, group)
    for group in ("moments", "pair_moments"):
        ours, theirs = by_stratum(merged, group), by_stratum(whole, group)
        for metric, rows in theirs.items():
            assert rows.keys() == ours[metric].keys()
            for stratum, row in rows.items():
                np.testing.assert_allclose(ours[metric][stratum], row, rtol=1e-9, atol=1e-12)
    assert merged.units.keys() == whole.units.keys()
    assert all(np.array_equal(merged.units[s], whole.units[s]) for s in whole.units)
    assert np.array_equal(merged.requests.sum(0), whole.requests.sum(0))
    assert np.array_equal(merged.errors.sum(0), whole.errors.sum(0))
    assert np.array_equal(merged.latencies, whole.latencies)
    assert np.array_equal(merged.missing_halves, whole.missing_halves)
    assert merged.excluded == whole.excluded
    assert (merged.origin, merged.latest) == (whole.origin, whole.latest)


@settings(max_examples=15, deadline=None)
@given(cut=st.integers(0, TABLE.num_rows))
def test_an_earlier_and_a_later_part(cut):
    merged = built(TABLE.slice(0, cut))
    merged.merge(built(TABLE.slice(cut)))
    assert_same(merged.evidence, built(TABLE).evidence)


@pytest.mark.parametrize("seed", range(4))
def test_two_workers_who_saw_any_half_each(seed):
    mine = np.random.default_rng(seed).random(TABLE.num_rows) < 0.5
    merged = built(TABLE.filter(mine))
    merged.merge(built(TABLE.filter(~mine)))
    assert_same(merged.evidence, built(TABLE).evidence)


def test_merged_builders_go_on_as_one():
    half, end = TABLE.num_rows // 3, TABLE.num_rows * 2 // 3
    builder = built(TABLE.slice(0, half))
    builder.merge(built(TABLE.slice(half, end - half)))
    for batch in chunks(TABLE.slice(end)):
        builder.add(batch)
    assert_same(builder.evidence, built(TABLE).evidence)


def test_evidence_without_rows_or_pairs_in_common_merges_by_addition():
    plan = spec(LATENCY, ERRORS, MEAN)
    parts = []
    for table in (TABLE.slice(0, 700), TABLE.slice(700), TABLE):
        builder = EvidenceBuilder(plan, origin=START)
        builder.add(table.drop_columns(["pair"]))
        parts.append(builder.evidence)
    first, second, whole = parts
    assert_same(merge(first, second), whole)
    assert_same(merge(second, first), whole)
    assert_same(merge(Evidence.empty(plan), whole), whole)


def test_evidence_on_other_arms_or_another_clock_is_not_merged():
    evidence = built(TABLE).evidence
    with pytest.raises(ValueError, match="v9"):
        merge(evidence, Evidence(arms=("v1", "v9")))
    with pytest.raises(ValueError, match="origin"):
        merge(evidence, dataclasses.replace(evidence, origin=0.0))
    with pytest.raises(ValueError, match="origin"):
        built(TABLE).merge(EvidenceBuilder(PLAN, origin=0.0))
