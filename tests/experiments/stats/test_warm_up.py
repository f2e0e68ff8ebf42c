"""The cut of a warm-up by the marginal standard error rule."""

from __future__ import annotations

import numpy as np
import pytest
from fairtrial.stats.warm_up import mser_cut


def test_a_transient_is_cut() -> None:
    rng = np.random.default_rng(1)
    cuts = []
    for _ in range(200):
        means = 5 * np.exp(-np.arange(100) / 5) + 0.3 * rng.standard_normal(100)
        cuts.append(mser_cut(means, np.full(100, 5)))
    assert 8 <= np.median(cuts) <= 25
    assert np.quantile(cuts, 0.05) >= 6  # there the transient is down to the size of the noise


def test_a_steady_series_is_hardly_cut() -> None:
    rng = np.random.default_rng(2)
    cuts = [mser_cut(rng.standard_normal(100), np.full(100, 5)) for _ in range(400)]
    assert np.median(cuts) <= 5
    assert np.mean(cuts) < 15


def test_it_is_the_statistic_of_white() -> None:
    means = np.random.default_rng(3).standard_normal(41)
    statistics = [((means[d:] - means[d:].mean()) ** 2).sum() / (41 - d) ** 2 for d in range(21)]
    assert mser_cut(means, np.full(41, 7)) == int(np.argmin(statistics))


def test_never_more_than_half() -> None:
    assert mser_cut(np.arange(100)[::-1], np.ones(100)) == 50
    assert mser_cut(np.arange(9)[::-1], np.ones(9)) == 4


def test_a_level_far_from_zero_does_not_drown_the_transient() -> None:
    means = 1e9 + np.r_[np.full(5, 10.0), np.tile([0.0, 1.0], 40)]
    assert mser_cut(means, np.ones(85)) == 5


def test_batches_count_by_their_size() -> None:
    means = np.r_[[50.0], np.tile([0.0, 1.0], 30)]
    assert mser_cut(means, np.r_[10.0, np.full(60, 10.0)]) == 1
    assert mser_cut(np.r_[[np.nan], means], np.r_[0.0, 10.0, np.full(60, 10.0)]) == 2


@pytest.mark.parametrize("values", [np.ones(40), np.full(40, 1 / 3), np.zeros(40), [], [1.0, 2.0, 3.0]])
def test_nothing_is_cut_from_what_does_not_vary_or_is_too_short(values: np.ndarray) -> None:
    assert mser_cut(values, np.full(len(values), 3.0)) == 0


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="3 batch means"):
        mser_cut([1.0, 2.0, 3.0], [1.0])
