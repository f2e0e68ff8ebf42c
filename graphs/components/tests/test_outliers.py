"""The detector flags the share that it says, whatever the distribution, and finds what is far away."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fairtrial_graph_components.policies.outliers import detector_of, fit


def test_of_usual_rows_the_stated_share_is_flagged():
    shares = []
    for seed in range(30):
        mix = np.random.default_rng(seed).normal(size=(4, 4))
        rows = np.exp(np.random.default_rng(seed + 100).normal(size=(6000, 4))) @ mix
        detector = fit(rows[:2000], share=0.05, seed=seed)
        shares.append((detector.scores(rows[2000:]) > detector.threshold).mean())
    assert np.mean(shares) == pytest.approx(0.05, abs=0.006)


def test_a_row_off_the_correlation_is_found_though_each_of_its_numbers_is_usual():
    random = np.random.default_rng(1)
    one = random.normal(size=5000)
    rows = np.column_stack([one, one + 0.1 * random.normal(size=5000)])
    detector = fit(rows)
    usual, strange = detector.scores(np.array([[2.0, 2.0], [1.5, -1.5]]))
    assert usual < detector.threshold < strange


@pytest.mark.parametrize("count", [200, 2000])
def test_constant_and_repeated_columns_and_more_columns_than_rows_do_no_harm(count):
    random = np.random.default_rng(2)
    rows = np.column_stack([random.normal(size=(count, 150)), np.full(count, 3.0)])
    rows = np.column_stack([rows, rows[:, :1]])
    detector = fit(rows)
    assert np.isfinite(detector.scores(np.full((1, 152), 1e300))).all()
    moved = rows[:1].copy()
    moved[0, 150] = 4.0
    assert detector.scores(moved)[0] > detector.threshold


def test_a_detector_survives_its_file():
    detector = fit(np.random.default_rng(3).normal(size=(300, 2)), names=["a", "b"])
    again = detector_of(json.loads(json.dumps(detector.document())))
    rows = np.array([[1.0, 2.0]])
    assert again.scores(rows) == detector.scores(rows)
    assert (again.threshold, again.names) == (detector.threshold, ("a", "b"))


@pytest.mark.parametrize(
    "rows", [np.zeros((10, 2)), np.full((300, 2), np.nan), np.zeros((300, 0)), np.zeros(300)]
)
def test_data_that_cannot_be_fitted_is_refused(rows):
    with pytest.raises(ValueError, match=r"the data (must|has)|too few"):
        fit(rows)


@pytest.mark.parametrize("change", [{"kind": "x"}, {"center": [1]}, {"threshold": "NaN"}, {"scale": [0, 1]}])
def test_a_file_that_is_no_detector_is_refused(change):
    document = fit(np.random.default_rng(3).normal(size=(300, 2))).document()
    with pytest.raises(ValueError, match=r"detector|together"):
        detector_of({**document, **change})
