"""Comparisons of ratios of sums: of two columns, or of a value of a unit's requests to their number."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairtrial.judge.comparison import Comparison, Interval, ratio_or_zero, shared
from fairtrial.judge.evidence import FloatArray, Stratum
from fairtrial.judge.geometry import claims_of, is_latency
from fairtrial.judge.means import Means
from fairtrial.judge.spec import MetricSpec
from fairtrial.stats.binary import MINIMUM_EVENTS, binary_drift
from fairtrial.stats.clustered import clustered_events, clustered_interval, clustered_score
from fairtrial.stats.ratio import linearised
from fairtrial.stats.score import Contributions, Score


class Ratios(Means):
    """Two ratios, as means of linearised values. `baseline`, `candidate`: [S, 6] joint moments of numerator
    and denominator; of units, where the metric is by unit.
    """

    def __init__(
        self,
        metric: MetricSpec,
        strata: Sequence[Stratum],
        baseline: FloatArray,
        candidate: FloatArray,
        uncapped: Comparison | None = None,
    ) -> None:
        super().__init__(metric, strata, *linearised(baseline, candidate), uncapped)
        self._sizes = baseline[:, 0], candidate[:, 0]

    @property
    def sizes(self) -> tuple[int, int]:
        return int(self._sizes[0].sum()), int(self._sizes[1].sum())

    @property
    def compared(self) -> int:
        return shared(*self._sizes)

    def shortfall(self) -> str:
        what = "users" if self.metric.by_unit else "requests"
        return (
            self._batch_shortfall()
            or f"each arm needs two {what} in one time batch, and a denominator above 0"
        )

    def _contributions(self) -> Contributions | None:
        """None by unit: a unit is in the batch where it was first seen, and its requests are anywhere."""
        return super()._contributions() if is_latency(self.metric) and not self.metric.by_unit else None


class ClusteredProportions(Ratios):
    """Two rates of requests that were randomised by unit. `baseline`, `candidate`: [S, 6] joint moments of a
    unit's events and requests.
    """

    def __init__(
        self,
        metric: MetricSpec,
        strata: Sequence[Stratum],
        baseline: FloatArray,
        candidate: FloatArray,
        uncapped: Comparison | None = None,
    ) -> None:
        super().__init__(metric, strata, baseline, candidate, uncapped)
        self._arms = baseline, candidate

    def score(self, threshold: float, *, greater: bool) -> Score | None:
        return clustered_score(*self._arms, margin=threshold, relative=self.relative, greater=greater)

    def interval(self, critical: float) -> Interval | None:
        return clustered_interval(*self._arms, relative=self.relative, critical=critical)

    def drift(self, threshold: float, effect: float, share: float) -> float:
        """That of independent requests, by as much smaller as a user's requests are alike."""
        events, requests = (sum(float((arm[:, 0] * arm[:, at]).sum()) for arm in self._arms) for at in (1, 2))
        rate = ratio_or_zero(events, requests)
        apart = abs(effect - threshold) * (rate if self.relative else 1.0)
        plain = ratio_or_zero(apart, math.sqrt(rate * (1 - rate)))
        drift = binary_drift(rate, effect, share, margin=threshold, relative=self.relative)
        return self.signal(threshold, effect) * ratio_or_zero(drift, plain)

    def shortfall(self) -> str:
        threshold = claims_of(self.metric)[1].threshold
        events = clustered_events(*self._arms, margin=threshold, relative=self.relative)
        return (
            f"{MINIMUM_EVENTS:.0f} of the rarer outcome must be expected in the smaller arm, less what the "
            f"likeness of a user's requests makes of them; {events:.1f} are"
        )
