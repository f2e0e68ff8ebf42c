"""A verdict from histograms that a metrics server kept: weaker than observations, and said to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fairtrial.errors import UsageError
from fairtrial.evidence.histogram import HistogramSeries, evidence_of_histograms
from fairtrial.evidence.prometheus import read_range_answer
from fairtrial.experiment.reading import load
from fairtrial.judge.evidence import until
from fairtrial.judge.geometry import most_looks
from fairtrial.judge.pipeline import judge
from fairtrial.judge.selection import select
from fairtrial.judge.spec import JudgeSpec, Method
from fairtrial.judge.state import State
from fairtrial.judge.verdict import Verdict
from fairtrial.planning.claims import claims_of
from fairtrial.planning.steps import steps_of


def judge_histograms(file: Path, data: Path) -> Verdict:
    """The verdict by the claims of `file` on a saved answer of Prometheus, look by look, a look a scrape.

    Raises UsageError for a file or data that cannot be used, and for a metric that histograms cannot tell.
    """
    experiment = load(file, check_files=False)
    series = read_range_answer(data)
    claims = claims_of(experiment, steps_of(experiment), 1)
    for arm in (claims.baseline, *claims.candidates):
        if arm not in {each.arm for each in series}:
            there = ", ".join(sorted(each.arm for each in series)) or "none"
            raise UsageError(f"{data} has no series of arm {arm}; the arms in it are {there}")
    if all(each.time.size < 2 for each in series):
        raise UsageError(f"{data} has one scrape only; a range with several is needed")
    spec = _sized(claims, series)
    evidence = evidence_of_histograms(spec, series)
    state = State()
    finals: dict[str, Verdict] = {}
    for look in range(1, most_looks(spec) + 1):
        state, verdicts = judge(spec, state, until(evidence, look), last=look == most_looks(spec))
        finals |= {verdict.candidate: verdict for verdict in verdicts}
        if len(state.decisions) == len(spec.candidates):
            break
    return select(spec, evidence, [finals[name] for name in spec.candidates])


def _sized(claims: JudgeSpec, series: Sequence[HistogramSeries]) -> JudgeSpec:
    """Looks and time batches are scrapes; the horizon is what was counted."""
    interval = max(float(np.median(np.diff(each.time))) for each in series if each.time.size > 1)
    start, end = (edge(float(each.time[at]) for each in series) for edge, at in ((min, 0), (max, -1)))
    looks = max(1, math.floor((end - start) / interval + 1e-9) + 1)
    smaller = min(
        int(each.counts[-1, -1] - each.counts[0, -1])
        for each in series
        if each.arm in (claims.baseline, *claims.candidates)
    )
    return replace(
        claims,
        look_interval=interval,
        batch_seconds=interval,
        planned_looks=claims.planned_looks if claims.method is Method.GROUP_SEQUENTIAL else looks,
        max_duration=looks * interval,
        metrics=tuple(
            replace(metric, paired=False, max_observations=max(1, smaller)) for metric in claims.metrics
        ),
    )
