"""The least data for a quantile."""

from __future__ import annotations

import pytest
from fairtrial.stats.minimum import minimum_for_quantile


@pytest.mark.parametrize(("q", "published"), [(0.9, 64), (0.99, 662), (0.999, 6636)])
def test_mlperfs_early_stopping_minima_are_reproduced(q: float, published: int) -> None:
    assert minimum_for_quantile(q) == published


def test_more_confidence_needs_more() -> None:
    assert (
        minimum_for_quantile(0.99, 0.9) < minimum_for_quantile(0.99, 0.99) < minimum_for_quantile(0.99, 0.999)
    )


@pytest.mark.parametrize(("q", "confidence"), [(0.0, 0.99), (1.0, 0.99), (0.9, 1.0)])
def test_senseless_requests_are_refused(q: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        minimum_for_quantile(q, confidence)
