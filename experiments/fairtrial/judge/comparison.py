"""One metric of a candidate against the baseline: the same questions asked of every kind of evidence."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from scipy.special import ndtr

from fairtrial.judge.evidence import FloatArray, Stratum
from fairtrial.judge.spec import MetricSpec
from fairtrial.stats.batches import MINIMUM_BATCHES, MINIMUM_INFORMATIVE, batch_inflation
from fairtrial.stats.fixed.result import FixedTest
from fairtrial.stats.score import Contributions, Effect, Score

Interval: TypeAlias = tuple[float, float]


class Comparison(ABC):
    """Axes are strata. `metric` is the metric; nothing here knows of claims or rates."""

    def __init__(
        self, metric: MetricSpec, strata: Sequence[Stratum], uncapped: Comparison | None = None
    ) -> None:
        """uncapped: the same before the metric's cap was applied, if it has one."""
        self.metric = metric
        self.relative = metric.margin.relative
        self._strata = strata
        self._uncapped = uncapped
        self._inflation: float | None = None
        self._scores: dict[float, Score | None] = {}

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

    def drift(self, threshold: float, effect: float, share: float) -> float:
        """`signal` as a plan needs it: what an effect does to the variances, and the split, included.

        share: of the observations that are the baseline's. Pairs and sums by unit have no split.
        """
        del share
        return self.signal(threshold, effect)

    def evidence(self, threshold: float, *, greater: bool) -> Score | None:
        """`score`, computed once for both directions: they differ by its sign."""
        if threshold not in self._scores:
            self._scores[threshold] = self.score(threshold, greater=True)
        score = self._scores[threshold]
        return score if score is None or greater else replace(score, z=-score.z)

    #: What the stratified score is called where it is judged once, at a fixed horizon.
    _score_name = "stratified score test"

    def fixed(self, threshold: float, *, greater: bool, level: float) -> FixedTest | None:
        """The test of an effect beyond the threshold that is made once: the textbook's where the data are as
        it takes them to be (independent, and split alike all the time), else the score of the strata.

        level: of the interval, where the test has one. None while there is too little to say.
        """
        del level
        score = self.score(threshold, greater=greater)
        return None if score is None else FixedTest(self._score_name, float(ndtr(-score.z)))

    def log_e(self, threshold: float, *, greater: bool) -> float | None:
        """Log of an exact e-value for an effect beyond the threshold; None where there is none."""
        del threshold, greater

    @property
    def _is_simple(self) -> bool:
        """Whether the strata may be pooled: one split all the time, and nothing that correlates."""
        return len({stratum.segment for stratum in self._strata}) <= 1 and self.inflation == 1.0

    @property
    def inflation(self) -> float | None:
        """Variance inflation by serial correlation; None before there are enough time batches to tell."""
        if self._inflation is None:
            parts = self._contributions()
            if parts is None:
                self._inflation = 1.0
            else:
                scores, variances = _by_batch(self._strata, parts)
                self._inflation = batch_inflation(scores, variances)
                if self._inflation is None and scores.size >= MINIMUM_BATCHES:
                    self._inflation = self._clumping()
        return self._inflation

    @property
    def effective_size(self) -> float | None:
        """Independent observations an arm (the smaller one) that would tell as much as those compared; None
        while it is not known how much alike neighbouring ones are.
        """
        return None if self.inflation is None else self.compared / self.inflation

    def uncapped_effect(self) -> Effect | None:
        """`effect` of the values before the cap; None if the metric has none."""
        return None if self._uncapped is None else self._uncapped.effect()

    def batches(self) -> tuple[int, int]:
        """(time batches that say something about serial correlation, all time batches)."""
        parts = self._contributions()
        if parts is None:
            return 0, 0
        variances = _by_batch(self._strata, parts)[1]
        return int(np.count_nonzero(variances > 0)), variances.size

    def _clumping(self) -> float | None:
        """The inflation to go on with where too few batches have events to measure it; None: do not go on."""
        return None

    def _contributions(self) -> Contributions | None:
        """What each stratum adds to the score, where its observations are serially correlated; else None."""
        return None

    #: Why the variance is measured by time batches.
    _batch_reason = "neighbouring requests are alike"

    def _batch_shortfall(self) -> str | None:
        if self.inflation is not None:
            return None
        informative, batches = self.batches()
        return (
            f"{self._batch_reason}, so that {MINIMUM_BATCHES} time batches are needed, "
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


def clumping(strata: Sequence[Stratum], events: FloatArray) -> float:
    """Events [S] for each time batch that has any, at least 1: as if all of a batch were one clump."""
    batches = np.array([stratum.batch for stratum in strata], np.int64)
    with_events = np.unique(batches[events > 0]).size
    return max(1.0, float(events.sum()) / with_events) if with_events else 1.0


def shared(n0: FloatArray, n1: FloatArray) -> int:
    """Size of the smaller arm in strata that have both."""
    both = (n0 > 0) & (n1 > 0)
    return int(min(n0[both].sum(), n1[both].sum()))


def damped(score: Score | None, inflation: float) -> Score | None:
    """A score of observations that were taken to be independent, for what their correlation leaves of it."""
    return score if score is None else replace(score, z=score.z / math.sqrt(inflation))


def widened(effect: Effect | None, inflation: float) -> Effect | None:
    """Likewise an effect's standard error."""
    if effect is None:
        return None
    return replace(effect, standard_error=effect.standard_error * math.sqrt(inflation))


def ratio_or_zero(numerator: float, denominator: float) -> float:
    """A signal to noise ratio; 0 where there is no noise to divide by, or no number."""
    value = numerator / denominator if denominator > 0 else 0.0
    return value if math.isfinite(value) else 0.0
