"""One metric of a candidate against the baseline: the same questions asked of every kind of evidence."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from fairtrial.judge.evidence import FloatArray, Stratum
from fairtrial.judge.spec import MetricSpec
from fairtrial.stats.batches import MINIMUM_BATCHES, MINIMUM_INFORMATIVE, batch_inflation
from fairtrial.stats.score import Contributions, Effect, Score

Interval: TypeAlias = tuple[float, float]


class Comparison(ABC):
    """Axes are strata. `metric` is the metric; nothing here knows of claims or rates."""

    def __init__(self, metric: MetricSpec, strata: Sequence[Stratum]) -> None:
        self.metric = metric
        self.relative = metric.margin.relative
        self._strata = strata
        self._inflation: float | None = None

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, int]:
        """Observations of baseline and candidate; pairs, twice, where paired."""

    @property
    @abstractmethod
    def compared(self) -> int:
        """Those of the smaller arm in strata that have both arms: what the horizon is counted in."""

    @abstractmethod
    def score(self, threshold: float, *, greater: bool) -> Score | None:
        """Evidence for an effect beyond the threshold; None while there is too little to say."""

    @abstractmethod
    def effect(self) -> Effect | None:
        """Estimates of both arms and of the effect."""

    @abstractmethod
    def interval(self, critical: float) -> Interval | None:
        """The effects that neither one-sided claim would reject at `critical`."""

    @abstractmethod
    def shortfall(self) -> str:
        """What the claim for the candidate waits for, in words; to be asked where its score is None."""

    @abstractmethod
    def signal(self, threshold: float, effect: float) -> float:
        """Expected z per root of information if the effect is `effect`, from pooled (blinded) data; >= 0."""

    @property
    def inflation(self) -> float | None:
        """Variance inflation by serial correlation; None before there are enough time batches to tell."""
        if self._inflation is None:
            parts = self._contributions()
            if parts is None:
                self._inflation = 1.0
            else:
                self._inflation = batch_inflation(*_by_batch(self._strata, parts))
        return self._inflation

    def batches(self) -> tuple[int, int]:
        """(time batches that say something about serial correlation, all time batches)."""
        parts = self._contributions()
        if parts is None:
            return 0, 0
        variances = _by_batch(self._strata, parts)[1]
        return int(np.count_nonzero(variances > 0)), variances.size

    def _contributions(self) -> Contributions | None:
        """What each stratum adds to the score, where its observations are serially correlated; else None."""
        return None

    def _batch_shortfall(self) -> str | None:
        if self.inflation is not None:
            return None
        informative, batches = self.batches()
        return (
            f"neighbouring requests are alike, so that {MINIMUM_BATCHES} time batches are needed, "
            f"{MINIMUM_INFORMATIVE} of them with something to tell; there are {batches} and {informative}"
        )


def _by_batch(strata: Sequence[Stratum], parts: Contributions) -> tuple[FloatArray, FloatArray]:
    """Contributions of whole time batches, whatever their segments, in order of time."""
    batches = np.array([stratum.batch for stratum in strata], np.int64)
    distinct, group = np.unique(batches, return_inverse=True)
    scores, variances = (
        np.bincount(group, values, minlength=distinct.size).astype(np.float64)
        for values in (parts.scores, parts.variances)
    )
    return scores, variances


def shared(n0: FloatArray, n1: FloatArray) -> int:
    """Size of the smaller arm in strata that have both."""
    both = (n0 > 0) & (n1 > 0)
    return int(min(n0[both].sum(), n1[both].sum()))


def ratio_or_zero(numerator: float, denominator: float) -> float:
    """A signal to noise ratio; 0 where there is no noise to divide by, or no number."""
    value = numerator / denominator if denominator > 0 else 0.0
    return value if math.isfinite(value) else 0.0
