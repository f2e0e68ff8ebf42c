"""The least data from which a quantile may be claimed."""

from __future__ import annotations

from scipy.special import bdtr


def minimum_for_quantile(q: float, confidence: float = 0.99) -> int:
    """Least number of requests an arm: MLPerf's early-stopping rule.

    The smallest n for which at most one exceedance of the true q-quantile is as unlikely as
    1 - confidence: P(Binomial(n, 1 - q) <= 1) <= 1 - confidence. The rule discards one exceedance, so
    that no claim rests on a single slow request (MLPerf Inference, early stopping for the server
    scenario). p90: 64, p99: 662, p99.9: 6,636.
    Raises ValueError unless 0 < q < 1 and 0 < confidence < 1.
    """
    if not (0 < q < 1 and 0 < confidence < 1):
        raise ValueError("q and confidence must lie between 0 and 1")
    low, high = 1, 2
    while bdtr(1, high, 1 - q) > 1 - confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if bdtr(1, middle, 1 - q) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high
