"""The block bootstrap of a quantile keeps its rate where requests of a batch are alike."""

import numpy as np
import pytest
from fairtrial.stats.buckets import LogBuckets
from fairtrial.stats.fixed.block_bootstrap import block_bootstrap

BUCKETS = LogBuckets.for_margin(0.1, relative=True, low=1e-3, high=10.0)
BATCHES, REQUESTS = 60, 40


def histograms(rng: np.random.Generator, factor: float, shared: float, own: float) -> list[np.ndarray]:
    """Log-normal latencies; batches are slow together (`shared`), and each arm's by itself (`own`)."""
    together = rng.normal(0, shared, (BATCHES, 1))
    arms: list[np.ndarray] = []
    for centre in (0.0, np.log(factor)):
        alone = rng.normal(0, own, (BATCHES, 1))
        latency = np.exp(np.log(0.05) + centre + together + alone + rng.normal(0, 0.4, (BATCHES, REQUESTS)))
        index = BUCKETS.index(latency.ravel()).reshape(latency.shape)
        arms.append(np.stack([np.bincount(row, minlength=BUCKETS.count) for row in index]))
    return arms


def rejections(greater: bool, runs: int = 150) -> float:
    rng = np.random.default_rng(9)
    margin = 0.1
    p = [
        block_bootstrap(
            *histograms(rng, 1 + margin, 0.2, 0.15),
            buckets=BUCKETS,
            q=0.9,
            margin=margin,
            relative=True,
            greater=greater,
        )
        for _ in range(runs)
    ]
    return float(np.mean([each is not None and each.p_value <= 0.05 for each in p]))


@pytest.mark.parametrize("greater", [True, False])
def test_it_keeps_its_rate_at_the_margin(greater: bool):
    assert rejections(greater) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


def test_a_slower_candidate_is_found_and_lies_in_the_interval():
    found = block_bootstrap(
        *histograms(np.random.default_rng(1), 1.6, 0.1, 0.05),
        buckets=BUCKETS,
        q=0.9,
        margin=0.1,
        relative=True,
        greater=True,
    )
    assert found is not None
    assert found.p_value < 0.01
    assert found.interval is not None
    assert found.interval[0] < 0.6 < found.interval[1]


def test_the_same_data_give_the_same_answer():
    arms = histograms(np.random.default_rng(2), 1.1, 0.1, 0.1)
    settings = {"buckets": BUCKETS, "q": 0.9, "margin": 0.1, "relative": True, "greater": True}
    assert block_bootstrap(*arms, **settings) == block_bootstrap(*arms, **settings)


def test_too_few_batches_say_nothing():
    arms = [arm[:20] for arm in histograms(np.random.default_rng(2), 1.1, 0.1, 0.1)]
    assert block_bootstrap(*arms, buckets=BUCKETS, q=0.9, margin=0.1, relative=True, greater=True) is None
