"""Group sequential boundaries against published tables."""

import math

import numpy as np
import pytest
from fairtrial.stats.design import design_drift, design_duration, design_power
from fairtrial.stats.group_sequential import GroupSequential
from fairtrial.stats.recursion import crossing_probability
from fairtrial.stats.spending import obrien_fleming_spending, pocock_spending
from fairtrial.stats.two_sided import obrien_fleming_constant, peeking_rate, pocock_constant

# Jennison and Turnbull (2000), tables 2.1 and 2.3: two-sided alpha 0.05, K = 2 to 10.
POCOCK = [2.178, 2.289, 2.361, 2.413, 2.453, 2.485, 2.512, 2.535, 2.555]
OBRIEN_FLEMING = [1.977, 2.004, 2.024, 2.040, 2.053, 2.063, 2.072, 2.080, 2.087]
# Armitage, McPherson and Rowe (1969), table 2: two-sided 5%.
PEEKING = {1: 0.05, 2: 0.083, 3: 0.107, 4: 0.126, 5: 0.142, 10: 0.193, 20: 0.248, 50: 0.320}


@pytest.mark.parametrize(("looks", "published"), list(enumerate(POCOCK, start=2)))
def test_pocock_constants(looks: int, published: float):
    assert pocock_constant(0.05, looks) == pytest.approx(published, abs=6e-4)


@pytest.mark.parametrize(("looks", "published"), list(enumerate(OBRIEN_FLEMING, start=2)))
def test_obrien_fleming_constants(looks: int, published: float):
    assert obrien_fleming_constant(0.05, looks) == pytest.approx(published, abs=6e-4)


@pytest.mark.parametrize(("looks", "published"), PEEKING.items())
def test_naive_peeking_inflates_the_rate(looks: int, published: float):
    assert peeking_rate(0.05, looks) == pytest.approx(published, abs=6e-4)


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        # Lan and DeMets (1983), one-sided 2.5%, five equal looks (as in DeMets and Lan, 1994, table 2).
        (obrien_fleming_spending, [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
        (pocock_spending, [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]),
    ],
)
def test_spending_bounds_at_equal_looks(spending, published: list[float]):
    boundary = GroupSequential(0.025, 5, spending)
    assert boundary.planned_critical == pytest.approx(np.array(published), abs=6e-4)


@pytest.mark.parametrize("spending", [obrien_fleming_spending, pocock_spending])
@pytest.mark.parametrize("fractions", [[0.2, 0.5, 0.55, 0.9, 1.0], [0.11, 0.43, 0.61, 0.99, 1.0]])
def test_the_rate_is_spent_in_full_whatever_the_looks_times(spending, fractions: list[float]):
    boundary = GroupSequential(0.05, 5, spending)
    critical = [boundary.critical(fractions[: k + 1]) for k in range(len(fractions))]
    assert crossing_probability(critical, fractions, 0.0) == pytest.approx(0.05, abs=2e-5)


def test_looks_between_the_planned_ones_reject_nothing_and_change_nothing():
    boundary = GroupSequential(0.05, 4)
    often = [k / 40 for k in range(1, 41)]
    critical = [boundary.critical(often[: k + 1]) for k in range(40)]
    tests = [k for k, value in enumerate(critical) if math.isfinite(value)]
    assert [often[k] for k in tests] == [0.25, 0.5, 0.75, 1.0]
    assert [critical[k] for k in tests] == pytest.approx(boundary.planned_critical.tolist())


def test_a_p_value_is_at_most_alpha_exactly_where_the_boundary_was_crossed():
    boundary = GroupSequential(0.05, 4, pocock_spending)
    fractions = [0.25, 0.5, 0.75]
    for z in (1.5, 2.0, 2.2, 2.6, 4.0):
        p = boundary.p_value(fractions, [0.3, 0.9, z])
        assert p is not None
        assert (p <= 0.05) == (z >= boundary.critical(fractions))


def test_power_and_duration_of_a_design():
    boundary = GroupSequential(0.025, 5, obrien_fleming_spending)
    critical, fractions = boundary.planned_critical.tolist(), boundary.planned_fractions.tolist()
    drift = design_drift(critical, fractions, 0.9)
    # Jennison and Turnbull (2000), table 7.3: inflation factor 1.028 or so for 90% power
    assert drift**2 / (1.96 + 1.2816) ** 2 == pytest.approx(1.027, abs=4e-3)
    assert design_power(critical, fractions, drift) == pytest.approx(0.9, abs=1e-6)
    duration = design_duration(critical, fractions, drift)
    assert 0.6 < duration.mean < 0.85
    assert duration.by_look[-1] == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.6])
def test_a_rate_that_is_none_is_refused(alpha: float):
    with pytest.raises(ValueError, match="alpha must be in"):
        GroupSequential(alpha, 5)
