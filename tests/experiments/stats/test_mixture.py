"""The default boundary: its level at planned and irregular looks, its power, and its manners."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from fairtrial.stats import mixture
from fairtrial.stats.boundary import Boundary
from fairtrial.stats.mixture import (
    SequentialMixture,
    expected_fraction,
    log_mixture,
    power,
    required_drift,
    round_drift,
)
from fairtrial.stats.recursion import SubDensity, crossing_probability
from hypothesis import given, settings
from hypothesis import strategies as st

PLANNED = SequentialMixture(alpha=0.05, drift=2.7, planned_looks=60)


def criticals(boundary: Boundary, fractions: list[float]) -> list[float]:
    return [boundary.critical(fractions[:k]) for k in range(1, len(fractions) + 1)]


@pytest.mark.parametrize("alpha", [0.001, 0.025, 0.05, 0.2])
@pytest.mark.parametrize("looks", [1, 2, 120])
def test_planned_looks_cross_exactly_alpha(alpha: float, looks: int) -> None:
    boundary = SequentialMixture(alpha, 3.0, looks)
    crossing = crossing_probability(boundary.planned_critical.tolist(), boundary.planned_fractions.tolist())
    assert crossing == pytest.approx(alpha, rel=1e-6)
    assert boundary.spent(1.0) == pytest.approx(alpha, rel=1e-9)


def test_the_boundary_is_a_level_set_of_the_mixture() -> None:
    levels = log_mixture(PLANNED.planned_fractions, PLANNED.planned_critical, round_drift(2.7))
    assert np.ptp(levels) < 1e-9
    assert 0 < levels[0] < math.log(1 / 0.05)  # calibrated: lower than Ville's


def test_looking_as_planned_gives_the_calibrated_mixture() -> None:
    got = criticals(PLANNED, PLANNED.planned_fractions.tolist())
    assert got == pytest.approx(PLANNED.planned_critical.tolist(), abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=25, unique=True))
def test_whatever_the_looks_alpha_is_spent_and_no_more(inside: list[float]) -> None:
    fractions = [*sorted(inside), 1.0]
    zs = criticals(PLANNED, fractions)
    assert not any(math.isnan(z) for z in zs)
    last_spent = max((t for t, z in zip(fractions, zs, strict=True) if z < math.inf), default=0.0)
    assert crossing_probability(zs, fractions) == pytest.approx(PLANNED.spent(last_spent), abs=1e-5)


def test_a_look_with_nothing_new_can_reject_nothing() -> None:
    assert PLANNED.critical([1e-6]) == math.inf
    assert PLANNED.critical([0.5, 0.5]) == math.inf
    assert PLANNED.critical([0.5, 0.5 + 1e-6]) == math.inf
    after = PLANNED.critical([0.5, 0.5 + 1e-6, 1.0])
    assert after == pytest.approx(PLANNED.critical([0.5, 1.0]), abs=1e-9)


def test_a_single_look_at_the_end_is_the_fixed_test() -> None:
    assert PLANNED.critical([1.0]) == pytest.approx(1.6448536, abs=1e-6)


def test_variances_set_the_correlation_and_fractions_the_spending() -> None:
    fractions = [0.25, 0.5, 0.75, 1.0]
    variances = [1.0, 3.0, 6.0, 9.0]  # the base rate rose
    zs = [PLANNED.critical(fractions[:k], variances[:k]) for k in range(1, 5)]
    assert crossing_probability(zs, variances) == pytest.approx(0.05, abs=1e-5)
    assert zs != pytest.approx(criticals(PLANNED, fractions), abs=1e-3)
    same = [PLANNED.critical(fractions[:k], [7 * t for t in fractions[:k]]) for k in range(1, 5)]
    assert same == pytest.approx(criticals(PLANNED, fractions), abs=1e-9)


def test_a_forgotten_prefix_is_recomputed(monkeypatch: pytest.MonkeyPatch) -> None:
    fractions = [k / 50 for k in range(1, 51)]
    first = PLANNED.critical(fractions)
    monkeypatch.setattr(mixture, "_remembered", mixture.Remembered(1, 1))
    assert PLANNED.critical(fractions) == first


def test_runs_by_the_hundred_compute_each_of_their_looks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an operator has them, each with fractions of its own; what they take grows with their number."""
    monkeypatch.setattr(
        mixture, "_remembered", mixture.Remembered(mixture.SHARED_LOOKS, mixture.LAST_LOOKS_BYTES)
    )
    computed: list[float] = []
    solve = SubDensity.solve

    def counting(self: SubDensity, fraction: float, target: float) -> float:
        computed.append(fraction)
        return solve(self, fraction, target)

    monkeypatch.setattr(SubDensity, "solve", counting)
    runs = [[(look + run / 2000) / 60 for look in range(1, 4)] for run in range(700)]
    for look in range(1, 4):
        for fractions in runs:
            PLANNED.critical(fractions[:look])
    assert len(computed) == 3 * len(runs)


def test_a_stricter_alpha_is_harder_to_cross() -> None:
    rows = [SequentialMixture(alpha, 2.7, 60).planned_critical for alpha in (0.1, 0.05, 0.01, 0.001)]
    assert all(np.all(a < b) for a, b in itertools.pairwise(rows))


def test_drifts_are_shared_on_a_coarse_grid() -> None:
    assert round_drift(2.75) == round_drift(2.85)
    assert round_drift(1e-9) == 1.0
    assert round_drift(1e9) == 32.0


@pytest.mark.parametrize("bad", [{"alpha": 0.0}, {"alpha": 0.7}, {"drift": 0.0}, {"planned_looks": 0}])
def test_senseless_plans_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad)).split("_")[-1].rstrip("s")):
        SequentialMixture(**{"alpha": 0.05, "drift": 2.7, "planned_looks": 60, **bad})  # pyright: ignore


@pytest.mark.parametrize("fractions", [[], [0.0], [0.5, 1.1], [math.nan]])
def test_senseless_fractions_are_refused(fractions: list[float]) -> None:
    with pytest.raises(ValueError, match=r"look yet|must lie in"):
        PLANNED.critical(fractions)


@pytest.mark.parametrize("looks", [1, 20, 120])
@pytest.mark.parametrize("wanted", [0.5, 0.8, 0.95])
def test_the_required_drift_has_the_wanted_power(looks: int, wanted: float) -> None:
    drift = required_drift(0.05, wanted, looks)
    assert power(0.05, drift, looks) == pytest.approx(wanted, abs=1e-4)


def test_one_look_needs_the_fixed_sample_drift() -> None:
    assert required_drift(0.05, 0.8, 1) == pytest.approx(1.6449 + 0.8416, abs=1e-3)


def test_expected_fraction_agrees_with_a_random_walk() -> None:
    rng = np.random.default_rng(2)
    looks, drift = 60, 3.0
    walk = np.cumsum(drift / looks + rng.standard_normal((40_000, looks)) / math.sqrt(looks), axis=1)
    boundary = SequentialMixture(0.05, drift, looks)
    crossed = walk >= boundary.planned_critical * np.sqrt(boundary.planned_fractions)
    stopped = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, looks) / looks
    assert stopped.mean() == pytest.approx(expected_fraction(0.05, drift, looks), abs=0.005)


def test_the_p_value_is_below_alpha_exactly_when_the_boundary_is_crossed() -> None:
    fractions = PLANNED.planned_fractions.tolist()
    rng = np.random.default_rng(3)
    for drift in (0.0, 2.0, 5.0):
        walk = np.cumsum(drift / 60 + rng.standard_normal(60) / math.sqrt(60))
        zs = (walk / np.sqrt(fractions)).tolist()
        p = PLANNED.p_value(fractions, zs)
        crossed = any(z >= c for z, c in zip(zs, PLANNED.planned_critical, strict=True))
        assert p is not None
        assert (p <= 0.05) == crossed


def test_the_p_value_is_the_crossing_probability_of_what_was_seen() -> None:
    stricter = SequentialMixture(0.01, 2.7, 60)
    zs = stricter.planned_critical[:30].tolist()  # just crosses the boundary of alpha 0.01
    assert PLANNED.p_value(PLANNED.planned_fractions[:30].tolist(), zs) == pytest.approx(0.01, rel=1e-4)
    assert PLANNED.p_value([], []) is None
