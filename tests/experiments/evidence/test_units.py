"""Sums by unit of randomisation."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from experiments.evidence.naive import assert_moments, by_unit
from experiments.streams import ERRORS, START, chunks, spec
from fairtrial.evidence.builder import EvidenceBuilder
from fairtrial.evidence.unit_table import UnitTable
from fairtrial.evidence.units import UnitBook
from fairtrial.judge.evidence import Evidence, Excluded, Exclusion
from fairtrial.judge.notes import notes
from fairtrial.judge.spec import Kind, Margin, MetricSpec, Role

ARMS = ("v1", "v2")


def metric(name: str, kind: Kind, column: str, **more) -> MetricSpec:
    more = {"by_unit": True} | more
    return MetricSpec(name, kind, Role.GUARDRAIL, column, False, Margin(0.1), max_observations=9000, **more)


RATE = dataclasses.replace(ERRORS, by_unit=True)
SPEND = metric("spend", Kind.MEAN, "spend", covariate="before")
CAPPED = metric("capped", Kind.MEAN, "spend", cap=2.0)
CLICKS = metric("clicks", Kind.RATIO, "clicks", denominator="views")
ALARMS = metric("alarms", Kind.COUNT, "alarms")
SLOW = metric("slow", Kind.BINARY, "latency", slo=0.02)
PLAN = spec(RATE, SPEND, CAPPED, CLICKS, ALARMS, SLOW, batch_seconds=5.0)


def traffic(n: int = 3000, units: int = 200, seed: int = 5, switching: float = 0.02) -> pa.Table:
    rng = np.random.default_rng(seed)
    unit = rng.integers(0, units, n)
    arm = np.where(rng.random(n) < switching, rng.integers(0, 2, n), unit % 2)
    failed = rng.random(n) < 0.1
    return pa.table(
        {
            "arm": np.array(ARMS)[arm],
            "time": START + np.sort(rng.uniform(0, 60, n)),
            "latency": rng.lognormal(-4, 0.5, n),
            "status": np.where(failed, 500, 200),
            "unit": pa.array([f"u{each}" for each in unit], mask=rng.random(n) < 0.01),
            "segment": np.array(["s1", "s2"])[(np.arange(n) > n // 2).astype(int)],
            "spend": rng.lognormal(0, 1, n),
            "before": (unit % 7).astype(float),
            "clicks": rng.integers(0, 3, n),
            "views": rng.integers(1, 9, n),
            "alarms": rng.poisson(0.3, n),
        }
    ).combine_chunks()


TABLE = traffic()
ROWS = TABLE.to_pylist()


def built(table: pa.Table, size: int = 333) -> EvidenceBuilder:
    builder = EvidenceBuilder(PLAN, origin=ROWS[0]["time"])
    for batch in chunks(table, size):
        builder.add(batch)
    return builder


def expected(value, covariate=None):
    return by_unit(ROWS, ROWS[0]["time"], PLAN.batch_seconds, ARMS, value, covariate)


def answered(name: str, most: float = np.inf):
    return lambda row: min(row[name], most) if row["status"] < 400 else None


@pytest.mark.parametrize("size", [7, 50, 5000])
def test_units_are_summed_as_by_hand_however_the_stream_is_cut(size):
    evidence = built(TABLE, size).evidence
    cells, switched = expected(lambda row: float(row["status"] >= 400))
    assert_moments(evidence, evidence.joint["errorRate"], cells)
    assert evidence.excluded[Excluded(Exclusion.SWITCHED_UNIT)] == switched > 10
    slow, _ = expected(lambda row: float(row["status"] >= 400 or row["latency"] > 0.02))
    assert_moments(evidence, evidence.joint["slow"], slow)
    assert_moments(evidence, evidence.joint["spend"], expected(answered("spend"), "before")[0])
    assert_moments(evidence, evidence.joint["capped"], expected(answered("spend", 2.0))[0])
    assert_moments(evidence, evidence.uncapped["capped"], expected(answered("spend"))[0])


def test_a_ratio_by_unit_has_the_sums_of_both_columns():
    evidence = built(TABLE).evidence
    clicks, views = expected(answered("clicks"))[0], expected(answered("views"))[0]
    cells = {
        cell: [(a[0], b[0]) for a, b in zip(units, views[cell], strict=True)]
        for cell, units in clicks.items()
    }
    assert_moments(evidence, evidence.joint["clicks"], cells)


def test_counts_by_unit_are_of_units_and_of_all_their_events():
    evidence = built(TABLE).evidence
    cells, _ = expected(answered("alarms"))
    for i, stratum in enumerate(evidence.strata):
        for arm in range(2):
            units = cells.get((stratum, arm), [])
            assert evidence.counts["alarms"][i, arm].tolist() == [len(units), sum(u[0] for u in units)]
    assert_moments(evidence, evidence.joint["alarms"], cells)


def test_requests_without_a_unit_are_left_out_and_counted():
    evidence = built(TABLE).evidence
    absent = sum(row["unit"] is None for row in ROWS)
    told = sum(n for e, n in evidence.excluded.items() if e[:2] == (Exclusion.ABSENT_VALUE, "errorRate"))
    assert told == absent > 0
    assert any("seen on more than one arm" in note for note in notes(evidence))


def same(merged: Evidence, whole: Evidence) -> None:
    at = {stratum: i for i, stratum in enumerate(merged.strata)}
    order = [at[stratum] for stratum in whole.strata]
    for group in ("joint", "uncapped"):
        for name, table in getattr(whole, group).items():
            ours = getattr(merged, group)[name][order]
            np.testing.assert_allclose(ours, table, rtol=1e-9, atol=1e-9)
            assert np.array_equal(ours[..., 0], table[..., 0])
    assert np.array_equal(merged.counts["alarms"][order], whole.counts["alarms"])
    assert merged.excluded == whole.excluded


@pytest.mark.parametrize("seed", range(4))
def test_books_of_workers_that_saw_the_same_units_merge_exactly(seed):
    mine = np.random.default_rng(seed).random(TABLE.num_rows) < 0.5
    merged = built(TABLE.filter(mine))
    merged.merge(built(TABLE.filter(~mine)))
    same(merged.evidence, built(TABLE).evidence)


def test_a_later_book_merges_before_an_earlier_one():
    merged = built(TABLE.slice(1500))
    merged.merge(built(TABLE.slice(0, 1500)))
    same(merged.evidence, built(TABLE).evidence)


def test_what_is_spilled_to_disk_comes_to_the_same(monkeypatch):
    in_memory = built(TABLE).evidence
    monkeypatch.setattr(UnitBook.__init__, "__kwdefaults__", {"limit": 4096})
    builder = built(TABLE)
    assert builder._book._state.spilled
    assert builder._book._table._slots.spilled
    builder._book.release()
    same(builder.evidence, in_memory)


def test_units_that_are_all_alike_do_not_vary_however_often_they_change():
    rng = np.random.default_rng(1)
    n = 20_000
    table = pa.table(
        {
            "arm": ["v1"] * n,
            "time": START + np.sort(rng.uniform(0, 4, n)),
            "latency": np.full(n, 0.01),
            "status": np.full(n, 200),
            "unit": [f"u{each}" for each in np.arange(n) % 100],
            "spend": np.full(n, 1e6 + 0.1),
        }
    )
    builder = EvidenceBuilder(spec(metric("spend", Kind.MEAN, "spend"), batch_seconds=60.0))
    for batch in chunks(table, 97):
        builder.add(batch)
    n, mean, requests, *squares = builder.evidence.joint["spend"][0, 0]
    assert (n, requests) == (100, 200)
    assert mean == pytest.approx(200 * (1e6 + 0.1), rel=1e-12)
    assert np.all(np.abs(squares) < 1e-9 * (200 * 1e6) ** 2)


def test_a_large_unit_that_goes_leaves_nothing_behind():
    table = UnitTable(1, 2)
    here, arm, yes, no = np.zeros(2, np.int64), np.zeros(2, np.int64), np.ones(2, bool), np.zeros(2, bool)
    small = np.array([[1.0, 1.0], [2.0, 1.0]])
    table.replace((here, arm, small, no), (here, arm, small, yes))
    large = np.array([[1.0, 1.0], [1e9, 1.0]])
    table.replace((here, arm, small, yes), (here, arm, large, yes))
    table.replace((here, arm, large, yes), (here, arm, small, yes))
    np.testing.assert_allclose(table.moments(1)[0, 0], [2, 1.5, 1, 0.5, 0, 0], atol=1e-6)


def test_by_unit_excludes_by_row_and_by_pair():
    for broken in (
        dataclasses.replace(RATE, once_per_row=True),
        dataclasses.replace(CLICKS, denominator=None),
        dataclasses.replace(ALARMS, by_unit=False, paired=True),
    ):
        with pytest.raises(ValueError, match="metric"):
            EvidenceBuilder(spec(broken))
