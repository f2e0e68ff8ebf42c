"""False promotions, false rollbacks and power, by simulation: the reduced set of `benchmarks/errors.py`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from fairtrial.stats.batches import batch_inflation
from fairtrial.stats.binary import binary_score
from fairtrial.stats.mean import mean_contributions, mean_score
from fairtrial.stats.quantile import quantile_contributions, quantile_score

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
RUNS = {
    "binary 50/50, at minEffect": 2000,
    "binary 50/50, at the margin": 2000,
    "binary 50/50, at designEffect": 2000,
    "binary 90/10, at minEffect": 2000,
    "binary 90/10, at the margin": 2000,
    "paired binary, at minEffect": 3000,
    "paired binary, at the margin": 3000,
    "paired binary, at designEffect": 3000,
    "mean latency 50/50, at the margin": 500,
    "mean latency 90/10, at minEffect": 500,
    "p99 latency 50/50, at minEffect": 300,
    "p99 latency 90/10, at the margin": 300,
    "p99 latency 50/50, heavier tail, at the margin": 300,
    "drifting weights and rates, A/A harmed": 3000,
    "drifting weights and rates, A/A better": 3000,
    "sequential requests an arm, 10% against 12%": 500,
    "sequential requests an arm, 10% against 15%": 500,
    "sequential requests an arm, p99 latency +25%": 300,
    "alwaysValid requests an arm, 10% against 12%": 500,
    "alwaysValid requests an arm, 10% against 15%": 500,
    "alwaysValid, binary 90/10, at the margin": 2000,
    "obrienFleming, binary 50/50, at the margin": 2000,
    "pocock, paired binary, at minEffect": 3000,
    "fixedHorizon, binary 90/10, at minEffect": 2000,
    "binary 1.0% 50/50, at the margin": 2000,
    "binary 0.5% 90/10, at the margin": 2000,
}


@pytest.fixture(scope="module")
def errors() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("errors")
    for name in ("errors", "error_cells", "designs", "simulated"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def cells(errors: ModuleType) -> dict[str, Any]:
    return {cell.name: cell for cell in errors.all_cells()}


@pytest.mark.parametrize("name", list(RUNS))
def test_the_measured_rate_keeps_its_bound(errors: ModuleType, cells: dict[str, Any], name: str) -> None:
    result = errors.measure(cells[name], RUNS[name], seed=11, doubt=0.01)
    assert result.ok, f"{name}: {result.measured:.4f} against {result.bound:.4f}"


@pytest.mark.usefixtures("errors")
def test_pooling_over_a_weight_change_would_be_a_false_alarm() -> None:
    """Why strata: the same A/A, counted as one table, is called harmful many times more often."""
    rng = np.random.default_rng(12)
    looks = importlib.import_module("error_cells").LOOKS
    share = np.where(np.arange(looks) < looks // 2, 0.1, 0.5)
    rate = np.linspace(0.05, 0.1, looks)
    harmed = 0
    for _ in range(200):
        n1 = rng.binomial(100, share)
        x0, x1 = rng.binomial(100 - n1, rate), rng.binomial(n1, rate)
        pooled = binary_score(
            (100 - n1).sum(), x0.sum(), n1.sum(), x1.sum(), margin=0.0, relative=False, greater=True
        )
        assert pooled is not None
        harmed += pooled.z > 1.645
    assert harmed / 200 > 0.4


@pytest.mark.usefixtures("errors")
def test_the_simulated_statistics_are_the_ones_that_ship() -> None:
    simulated = importlib.import_module("simulated")
    rng = np.random.default_rng(13)
    live = np.array([1])
    latency = importlib.import_module("error_cells").LATENCY
    for relative, value in ((True, 0.1), (False, 0.02)):
        claim = simulated.Claim(value, relative=relative, greater=True)
        arms = (latency, latency.times(1.1))
        quantiles = simulated.TwoQuantiles.draw(rng, 3, arms, 0.5, 0.95, claim)
        hist0, hist1 = (
            np.diff(np.concatenate([n[1, :60, None], above[1, :60], np.zeros((60, 1))], axis=1), axis=1) * -1
            for n, above in zip(quantiles.sizes, quantiles.above, strict=True)
        )
        keywords = {"buckets": quantiles.buckets, "q": 0.95, "margin": value, "relative": relative}
        c = quantile_contributions(hist0, hist1, **keywords)
        inflation = batch_inflation(c.scores, c.variances)
        assert inflation is not None
        score = quantile_score(hist0, hist1, **keywords, greater=True, inflation=inflation)
        assert score is not None
        assert quantiles.z(60, live)[0] == pytest.approx(score.z, abs=1e-6)

    claim = simulated.Claim(0.1, relative=True, greater=True)
    means = simulated.TwoMeans.draw(rng, 3, (latency, latency.times(1.1)), 0.3, claim)
    data = [a[1, :60] for a in means.moments]
    c = mean_contributions(*data, relative=True)
    score = mean_score(
        *data,
        margin=0.1,
        relative=True,
        greater=True,
        inflation=batch_inflation(c.scores, c.variances) or 1.0,
        skewness=float(means.skewness[1, 59]),
    )
    assert score is not None
    assert means.z(60, live)[0] == pytest.approx(score.z, abs=1e-6)
