"""Two paired proportions: McNemar's pairs, Tango's constraint, ratios."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fairtrial.stats.paired import (
    pair_discordant,
    pair_table,
    pair_z,
    paired_binary_effect,
    paired_binary_interval,
    paired_binary_score,
)
from scipy.special import xlogy

# Agresti, Categorical Data Analysis: approval of the prime minister, first and second survey.
APPROVAL = (794, 150, 86, 570)


def test_mcnemars_textbook_table_is_reproduced() -> None:
    score = paired_binary_score(*APPROVAL, margin=0.0, relative=False, greater=False)
    assert score is not None
    # McNemar's z is (86 - 150) / sqrt(86 + 150) = -4.17; the likelihood ratio's root is near it
    assert score.z == pytest.approx(4.17, abs=0.05)
    g2 = 2 * (150 * math.log(150 / 118) + 86 * math.log(86 / 118))
    assert score.z == pytest.approx(math.sqrt(g2), rel=1e-3)
    effect = paired_binary_effect(*APPROVAL, relative=False)
    assert effect is not None
    assert effect.effect == pytest.approx(-0.04, abs=1e-9)
    assert effect.standard_error == pytest.approx(0.0095, abs=1e-4)  # Agresti's


def test_published_intervals_are_met() -> None:
    # Agresti's Wald interval: with 1,600 pairs all methods agree
    assert paired_binary_interval(*APPROVAL, relative=False, critical=1.959964) == pytest.approx(
        (-0.0587, -0.0213), abs=3e-4
    )
    # Fagerland, Lydersen and Laake (2014): airway reactivity in 21 children before and after transplantation.
    # Skewness-corrected Tango interval 0.018 to 0.528 (ratesci); likelihood intervals are narrower there.
    low, high = paired_binary_interval(1, 1, 7, 12, relative=False, critical=1.959964) or (0.0, 0.0)
    assert 0.018 < low < 0.05
    assert 0.49 < high < 0.528


@pytest.mark.parametrize("counts", [(40, 9, 4, 60), (0, 3, 12, 300), (500, 0, 7, 20), (12, 30, 2, 0)])
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("margin", [-0.2, -0.01, 0.0, 0.03, 0.25])
def test_the_constrained_likelihood_is_the_largest_there_is(
    counts: tuple[float, ...], relative: bool, margin: float
) -> None:
    """Against brute force over all probabilities on a fine path of the constraint."""
    n = float(sum(counts))
    observed = np.array(counts) / n
    # p01 = p10 + margin, or p01 = margin p11 + (1 + margin) p10; grid the two free directions
    p10, rest = np.meshgrid(np.linspace(0, 1, 801), np.linspace(0, 1, 801))
    if relative:
        p11 = rest
        p01 = margin * p11 + (1 + margin) * p10
        p00 = 1 - p11 - p10 - p01
    else:
        p01 = p10 + margin
        p11 = rest * np.maximum(1 - p10 - p01, 0)
        p00 = 1 - p11 - p10 - p01
    feasible = (p01 >= 0) & (p00 >= -1e-12) & (p01 <= 1)
    best = -np.inf
    parts = (p11, p10, p01, np.maximum(p00, 0))
    likelihood = sum(
        xlogy(c, np.where(feasible, np.maximum(p, 1e-300), 1e-300))
        for c, p in zip(counts, parts, strict=True)
    )
    best = float(np.max(np.where(feasible, likelihood, -np.inf)))
    free = float(sum(xlogy(c, p) for c, p in zip(counts, observed, strict=True)))
    brute = 2 * (free - best)
    z = abs(float(pair_z(pair_table(*counts), margin=margin, relative=relative)))
    # z is the corrected root: undo nothing, allow for the correction (at most 0.07 + 3%) and for the grid
    assert z == pytest.approx(math.sqrt(max(brute, 0)), abs=0.12 + 0.04 * z)


def test_arms_that_never_disagree_are_no_evidence() -> None:
    score = paired_binary_score(500, 0, 0, 100, margin=0.0, relative=False, greater=True)
    assert score is not None
    assert score.z == 0.0
    assert score.information == 600


def test_arms_that_never_disagree_are_evidence_for_an_absolute_margin() -> None:
    score = paired_binary_score(0, 0, 0, 5000, margin=0.005, relative=False, greater=False)
    assert score is not None
    assert score.z == pytest.approx(math.sqrt(2 * 5000 * -math.log1p(-0.005)), abs=0.3)


def test_ten_discordant_pairs_are_waited_for() -> None:
    assert paired_binary_score(90, 3, 6, 10, margin=0.0, relative=False, greater=True) is None
    assert paired_binary_score(90, 4, 6, 10, margin=0.0, relative=False, greater=True) is not None
    assert paired_binary_score(0, 0, 0, 0, margin=0.0, relative=False, greater=True) is None


def test_expected_discordants_follow_the_constraint() -> None:
    assert float(pair_discordant(pair_table(0, 0, 0, 1000), margin=0.01, relative=False)) == pytest.approx(10)
    assert float(pair_discordant(pair_table(500, 8, 8, 484), margin=0.0, relative=True)) == pytest.approx(16)


def test_strata_are_added() -> None:
    whole = paired_binary_score(30, 12, 25, 33, margin=0.01, relative=False, greater=True)
    parts = paired_binary_score(
        [10, 20], [12, 0], [5, 20], [30, 3], margin=0.01, relative=False, greater=True
    )
    assert whole == parts


@pytest.mark.parametrize("relative", [False, True])
def test_interval_and_test_agree(relative: bool) -> None:
    counts = (400, 30, 55, 100)
    interval = paired_binary_interval(*counts, relative=relative, critical=2.5)
    assert interval is not None
    for bound, greater in zip(interval, (True, False), strict=True):
        score = paired_binary_score(*counts, margin=bound, relative=relative, greater=greater)
        assert score is not None
        assert score.z == pytest.approx(2.5, abs=1e-4)


def test_pairing_beats_independence_where_rows_are_hard_or_easy() -> None:
    # the same rates, 10% and 11%: paired with 5% discordance, and unpaired
    paired = paired_binary_effect(80, 20, 30, 870, relative=False)
    assert paired is not None
    unpaired = math.sqrt((0.1 * 0.9 + 0.11 * 0.89) / 1000)
    assert (unpaired / paired.standard_error) ** 2 > 3.5
