"""A stored baseline: latencies are compared only where the machine is shown to be as fast as then."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from experiments.streams import ACCURACY, ERRORS, LATENCY, START, Load, chunks, spec
from fairtrial.evidence.arrow import Tabular
from fairtrial.evidence.stored import Beside
from fairtrial.judge.evidence import Evidence
from fairtrial.judge.machine import LEAST_TIMINGS, MARGIN, machine_gate
from fairtrial.judge.spec import Margin, StoredBaseline
from fairtrial.judge.verdict import Decision, Verdict
from fairtrial.judging import StreamJudge
from fairtrial.stats.steadiness import LEAST_TIMINGS as LEAST_OF_A_LEVEL
from fairtrial.stats.steadiness import drift, level_ratio

_WIDE = replace(LATENCY, margin=Margin(0.2, relative=True))


def timings(
    rng: np.random.Generator, n: int = 240, *, speed: float = 1.0, noise: float = 0.03, alike: float = 0.7
) -> tuple[float, ...]:
    """Of a machine whose moments are alike: an autoregression, and one timing in fifty that was held up."""
    shocks = rng.normal(0, noise * math.sqrt(1 - alike**2), n)
    log = np.zeros(n)
    log[0] = rng.normal(0, noise)
    for i in range(1, n):
        log[i] = alike * log[i - 1] + shocks[i]
    stalled = np.where(rng.random(n) < 0.02, 5.0, 1.0)
    return tuple((0.001 * speed * stalled * np.exp(log)).tolist())


def is_open(then: Sequence[float], now: Sequence[float]) -> bool:
    judged = spec(LATENCY, stored=StoredBaseline("the stored run r", tuple(then)))
    gate = machine_gate(judged, replace(Evidence.empty(judged), reference=tuple(now)))
    assert gate is not None
    return gate.passed


def share_open(runs: int, speed: float, seed: int, **how: float) -> float:
    rng = np.random.default_rng(seed)
    return sum(is_open(timings(rng, **how), timings(rng, speed=speed, **how)) for _ in range(runs)) / runs  # type: ignore[arg-type]


def test_the_same_machine_is_seldom_refused() -> None:
    assert 1 - share_open(300, 1.0, seed=1) < 0.01
    assert 1 - share_open(300, 1.01, seed=2) < 0.05


@pytest.mark.parametrize("speed", [1 + MARGIN, 1 / (1 + MARGIN)])
def test_a_machine_at_the_margin_passes_no_oftener_than_stated(speed: float) -> None:
    assert share_open(500, speed, seed=3) <= 0.02  # 1% and what chance does in 500 runs


def test_over_all_looks_of_a_run_a_machine_at_the_margin_seldom_passes() -> None:
    rng = np.random.default_rng(9)
    ever = 0
    for _ in range(60):
        then, now = timings(rng), timings(rng, speed=1 + MARGIN)
        ever += any(is_open(then, now[:n]) for n in range(24, 241, 6))
    assert ever <= 6  # by benchmarks/machines.py one in thirty; asked at every look it was one in six


def test_what_is_known_between_two_planned_looks_closes_the_gate_and_opens_none() -> None:
    level = (0.001, 0.00101, 0.00099, 0.001)
    then, slow = level * 60, tuple(1.2 * each for each in level)
    assert not is_open(then, then[: LEAST_TIMINGS - 1])
    assert is_open(then, then[:LEAST_TIMINGS])
    assert not is_open(then, (*level * 30, *slow * 29))  # 120 were as fast, and 116 since are not
    assert not is_open(then, (*slow * 15, *level * 44))  # 60 were slow, 120 restless


@pytest.mark.parametrize("speed", [2.0, 0.5, 1.2])
def test_another_machine_never_passes(speed: float) -> None:
    assert share_open(60, speed, seed=4) == 0


def test_a_restless_machine_is_none_to_compare_latencies_on() -> None:
    assert share_open(60, 1.0, seed=5, noise=0.3, alike=0.95) < 0.02


def test_a_machine_that_changes_during_a_run_is_seen_whichever_it_was() -> None:
    rng = np.random.default_rng(6)
    steady = timings(rng)
    slower = (*timings(rng, 120), *timings(rng, 120, speed=1.15))
    assert not is_open(steady, slower)
    assert not is_open(slower, steady)
    assert drift(slower) == pytest.approx(1.15, rel=0.04)


def test_levels_need_timings_and_stalls_do_not_move_them() -> None:
    with pytest.raises(ValueError, match="at least 20"):
        drift([1.0] * (LEAST_OF_A_LEVEL - 1))
    assert not is_open([0.001] * 10, [0.001] * 240)
    exact = level_ratio([0.001] * 20, [0.0011] * 20, 0.99)
    assert exact.ratio == exact.low == exact.high == pytest.approx(1.1)
    stalls = [0.001, 0.1, 0.001, 0.001] * 30
    assert level_ratio([0.001] * 100, stalls, 0.99).ratio == pytest.approx(1.0)


# ---- whole runs


def recorded(load: Load, arm: int) -> Tabular:
    """What one of the arms answers when it is loaded alone."""
    table = load.table()
    name = ("v1", "v2")[arm]
    return table.filter(pa.array([each == name for each in table.column("arm").to_pylist()]))


def verdict_of(
    now: Load, *, speed: float = 1.0, seed: int = 1, incomparable: str | None = None
) -> tuple[Verdict, list[Verdict]]:
    """A candidate loaded on a machine `speed` times as slow as that on which the baseline was recorded."""
    rng = np.random.default_rng(seed)
    then = Load(split=0.0, seed=now.seed, accuracy=now.accuracy)
    stored = StoredBaseline("the stored run r", timings(rng), incomparable)
    judging = StreamJudge(spec(ACCURACY, _WIDE, ERRORS, stored=stored))
    beside = Beside(recorded(then, 0).sort_by("pair"))
    reference = timings(rng, speed=speed)
    slower = replace(now, median=(now.median[0] * speed, now.median[1] * speed))
    looks: list[Verdict] = []
    parts = list(chunks(recorded(slower, 1), 50))
    for part, batch in enumerate(parts):
        table = beside(pa.Table.from_batches([batch]), reference[part % len(reference)])
        for judgement in judging.feed(table):
            looks += judgement.verdicts
    for judgement in judging.close():
        looks += judgement.verdicts
    assert judging.outcome is not None
    return judging.outcome, looks


def test_a_candidate_as_good_is_promoted_on_the_same_machine_with_its_answers_paired_by_row() -> None:
    verdict, _ = verdict_of(Load(split=0.0))
    assert verdict.decision is Decision.PROMOTE
    accuracy = next(metric for metric in verdict.metrics if metric.name == "accuracy")
    assert accuracy.n_pairs
    assert [gate.passed for gate in verdict.gates if gate.name == "sameMachine"] == [True]
    assert any("at another time" in each for each in verdict.assumptions)


@pytest.mark.parametrize("seed", range(3))
def test_a_machine_half_as_fast_is_no_regression_but_inconclusive(seed: int) -> None:
    verdict, looks = verdict_of(Load(split=0.0, seed=seed), speed=2.0, seed=seed)
    assert verdict.decision is Decision.INCONCLUSIVE
    assert Decision.ROLLBACK not in {each.decision for each in looks}
    assert any("another one, or has another speed" in each for each in verdict.reasons)


def test_what_the_machine_has_no_part_in_is_judged_all_the_same() -> None:
    worse, _ = verdict_of(Load(split=0.0, accuracy=(0.97, 0.85)), speed=2.0)
    assert worse.decision is Decision.ROLLBACK
    failing, _ = verdict_of(Load(split=0.0, failing=(0.0, 0.1)), speed=2.0)
    assert failing.decision is Decision.ROLLBACK


def test_a_candidate_that_is_slower_by_itself_is_rolled_back() -> None:
    verdict, _ = verdict_of(Load(split=0.0, median=(0.01, 0.02)))
    assert verdict.decision is Decision.ROLLBACK
    assert "latency of v2" in verdict.reasons[0]


def test_why_runs_cannot_be_compared_is_what_the_verdict_says() -> None:
    verdict, _ = verdict_of(Load(split=0.0), incomparable="it loaded several arms at once")
    assert verdict.decision is Decision.INCONCLUSIVE
    assert any("not compared with those of the stored run r: it loaded several" in r for r in verdict.reasons)


# ---- putting the stored beside the present


def test_what_is_put_beside_does_not_depend_on_how_the_parts_were_cut() -> None:
    stored = recorded(Load(split=0.0), 0).sort_by("pair")
    present = recorded(Load(split=0.0), 1)
    whole = Beside(stored)(present)
    beside = Beside(stored)
    pieces = pa.concat_tables(beside(pa.Table.from_batches([batch])) for batch in chunks(present, 333))
    assert pieces.equals(whole)
    assert whole.num_rows == 2 * present.num_rows


def test_a_resumed_run_whose_clock_has_a_gap_has_the_stored_answers_where_its_own_are() -> None:
    stored = recorded(Load(split=0.0), 0).sort_by("pair")
    present = recorded(Load(split=0.0), 1)
    time = np.array(present.column("time"))
    late = pa.array(np.where(time > START + 30, time + 3600, time))
    gap = present.set_column(present.schema.get_field_index("time"), "time", late)
    table = Beside(stored)(gap)
    theirs = table.filter(pa.array([each == "v1" for each in table.column("arm").to_pylist()]))
    assert sorted(theirs.column("time").to_pylist()) == gap.column("time").to_pylist()


def test_arrivals_that_were_never_recorded_have_no_pair_that_could_be_missing() -> None:
    stored = recorded(Load(split=0.0), 0).sort_by("pair").slice(0, 100)
    table = Beside(stored)(recorded(Load(split=0.0), 1))
    assert table.num_rows == 6100
    assert table.column("pair").null_count == 6000 - 100


def test_an_arrival_that_brings_another_row_now_is_no_pair_but_counts_on_both_sides() -> None:
    stored = recorded(Load(split=0.0), 0).sort_by("pair")
    row = np.array(stored.column("row"))
    moved = pa.array(np.where(np.arange(row.size) < 1000, row + 1, row))  # as another version draws them
    table = Beside(stored.set_column(stored.schema.get_field_index("row"), "row", moved))(
        recorded(Load(split=0.0), 1)
    )
    assert table.num_rows == 12_000
    assert table.column("pair").null_count == 2000
    by_pair: dict[int, set[int]] = {}
    for pair, at in zip(table.column("pair").to_pylist(), table.column("row").to_pylist(), strict=True):
        if pair is not None:
            by_pair.setdefault(pair, set()).add(at)
    assert len(by_pair) == 5000
    assert all(len(rows) == 1 for rows in by_pair.values())


def test_runs_with_other_arrivals_are_put_beside_each_other_unpaired() -> None:
    stored = recorded(Load(split=0.0), 0)
    stored = stored.set_column(stored.schema.get_field_index("pair"), "pair", pa.nulls(6000, pa.int64()))
    table = Beside(stored.slice(0, 1000))(recorded(Load(split=0.0), 1))
    assert table.num_rows == 7000
    assert table.column("pair").null_count == 7000
