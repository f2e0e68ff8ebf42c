"""Many A/A replays of one run's evidence, and how often a claim that does not hold crosses in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtr, ndtri

from fairtrial.calibration.relabel import relabelled
from fairtrial.judge.boundaries import alpha_of
from fairtrial.judge.claims import claims_after, look_at_metric
from fairtrial.judge.compare import compare
from fairtrial.judge.evidence import Evidence, until
from fairtrial.judge.gates import requests_of
from fairtrial.judge.geometry import claims_of, most_looks
from fairtrial.judge.spec import JudgeSpec, Margin
from fairtrial.judge.state import State
from fairtrial.judge.wording import metric_label

#: Time batches whose arms are exchanged together: the judge takes neighbours to be alike, and no others.
STRETCH = 2
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """How often something happened in the replays."""

    what: str  # "accuracy is worse"
    times: int
    replays: int
    stated: float  # how often it may
    stretches: int  # of time, whose arms were exchanged: what the replays are made of

    @property
    def rate(self) -> float:
        return self.times / self.replays

    @property
    def interval(self) -> tuple[float, float]:
        """95% confidence, for the replays (Clopper and Pearson, 1934) and the one run they are made of.

        The spread of a statistic over replays is that of this run's stretches: their sum of squares,
        which has a relative error of sqrt(2 / stretches), and so moves the critical value by half of that.
        Both errors are added as squares on the scale of the normal quantile.
        """
        k, n, tail = self.times, self.replays, (1 - _CONFIDENCE) / 2
        low = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
        high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
        of_run = float(ndtri(self.stated) * ndtri(tail)) * math.sqrt(2 / self.stretches) / 2
        middle = float(ndtri((k + 0.5) / (n + 1)))
        ends: list[float] = []
        for end, sign in ((low, -1), (high, 1)):
            of_replays = float(ndtri(end)) - middle
            ends.append(float(ndtr(middle + sign * math.hypot(of_replays, of_run))))
        return ends[0], ends[1]

    @property
    def kept(self) -> bool:
        """Whether the replays are in keeping with the stated rate."""
        return self.interval[0] <= self.stated


@dataclass(frozen=True)
class Calibration:
    """What an A/A run shows of the setup."""

    harm: Rate  # any claim against the candidate: a false rollback
    claims: tuple[Rate, ...]  # each claim by itself
    requests: int  # of the A/A run
    seconds: float

    @property
    def kept(self) -> bool:
        return self.harm.kept and all(rate.kept for rate in self.claims)


def at_the_null(spec: JudgeSpec) -> JudgeSpec:
    """The spec with every margin 0, so that arms that are the same lie exactly where claims may err most."""
    metrics = tuple(
        replace(metric, margin=Margin(0.0, metric.margin.relative), design_effect=None)
        for metric in spec.metrics
    )
    return replace(spec, metrics=metrics, abort_error_rate=None, full_cycle=0.0, load_cycle=0.0)


def calibrate(
    spec: JudgeSpec,
    evidence: Evidence,
    *,
    replays: int,
    seed: int,
    progress: Callable[[int], None] = lambda _done: None,
) -> Calibration:
    """Judge `replays` relabelled copies of the evidence to their horizon.

    spec: from `at_the_null`. evidence: of the whole A/A run, built by this spec. progress: told how many
    replays are done. Raises ValueError if there are not two arms, or no evidence.
    """
    if not evidence.strata:
        raise ValueError("there is no evidence to replay")
    random = np.random.default_rng(seed)
    stretches = len({stratum.batch // STRETCH for stratum in evidence.strata})
    (candidate,) = spec.candidates
    crossings: dict[tuple[str, str], int] = {}
    harmed = 0
    for done in range(1, replays + 1):
        crossed = set(_replayed(spec, relabelled(evidence, _exchanges(evidence, random)), candidate))
        for metric, claim in crossed:
            crossings[metric, claim] = crossings.get((metric, claim), 0) + 1
        against = {(m.name, claims_of(m)[0].name) for m in spec.metrics}
        harmed += bool(crossed & against)
        progress(done)
    claims = tuple(
        Rate(
            f"{metric_label(metric)} is {claim.name}",
            crossings.get((metric.name, claim.name), 0),
            replays,
            alpha_of(spec, claim),
            stretches,
        )
        for metric in spec.metrics
        for claim in claims_of(metric)
    )
    return Calibration(
        harm=Rate("some claim of harm", harmed, replays, spec.alpha, stretches),
        claims=claims,
        requests=int(evidence.requests.sum()),
        seconds=(evidence.latest or 0.0) - (evidence.origin or 0.0),
    )


def _exchanges(evidence: Evidence, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """[S] whether the arms of each stratum are exchanged: one toss of a coin for each stretch of time."""
    stretch = np.array([stratum.batch // STRETCH for stratum in evidence.strata], np.int64)
    _, number = np.unique(stretch, return_inverse=True)
    return random.random(int(number.max()) + 1)[number] < 0.5


def _replayed(spec: JudgeSpec, evidence: Evidence, candidate: str) -> Iterator[tuple[str, str]]:
    """(metric, claim) of all that crossed by the horizon. Claims go on after a decision, to be counted."""
    looks = most_looks(spec)
    state = State()
    for number in range(1, looks + 1):
        state = replace(state, look=number)
        seen = until(evidence, math.floor(number * spec.look_interval / spec.batch_seconds + 1e-9))
        if min(requests_of(seen, arm) for arm in seen.arms) < spec.min_observations:
            continue
        results = tuple(
            look_at_metric(
                spec,
                state,
                compare(metric, seen, candidate),
                candidate,
                waiting=None,
                horizon=number == looks,
                intervals=False,
            )
            for metric in spec.metrics
        )
        state = replace(state, claims=claims_after(state, candidate, results))
    for key, claim in state.claims.items():
        if claim.crossed:
            _, metric, name = key.split("/")
            yield metric, name
