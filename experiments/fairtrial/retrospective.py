"""A verdict from observations that were recorded before, by a run or by anybody."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import RecordBatch, hashes, names, numbers, whole_numbers
from fairtrial.evidence.seen import SeenKeys, hash_name
from fairtrial.evidence.sorting import Progress
from fairtrial.evidence.sources import metric_columns, open_source
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.reading import load
from fairtrial.judge.spec import JudgeSpec, Method, MetricSpec
from fairtrial.judge.verdict import Verdict
from fairtrial.judging import StreamJudge
from fairtrial.planning.claims import claims_of
from fairtrial.planning.data import count_rows
from fairtrial.planning.steps import steps_of

#: Time batches at most: the tables of a day that is cut into seconds would not fit the memory.
_MOST_BATCHES = 4096


def judge_recorded(file: Path, data: Path, *, progress: Progress | None = None) -> Verdict:
    """The verdict that a run by `file` would have come to on the observations at `data`.

    They are looked at in order of time. The horizon is the file's where it says `maxDuration`, and else the
    size of the data. progress: told how many rows have been sorted, if they are not in order of time.
    Raises UsageError for a file or data that cannot be used.
    """
    experiment = load(file, check_files=False)
    claimed = claims_of(experiment, steps_of(experiment), 1)
    source = open_source(data, metric_columns(claimed.metrics), progress=progress)
    extent = _measure(source.scan(), by_unit=any(metric.by_unit for metric in claimed.metrics))
    for arm in (experiment.spec.baseline, *experiment.spec.candidates):
        if not extent.requests.get(arm.name):
            there = ", ".join(sorted(extent.requests)) or "none"
            raise UsageError(f"{data} has no observation of arm {arm.name}; the arms in it are {there}")
    judging = StreamJudge(_spec(experiment, extent))
    for _ in judging.all(source.batches()):
        pass
    outcome = judging.outcome
    assert outcome is not None, "the last look is final"
    return outcome


@dataclass
class _Extent:
    """How much there is to judge."""

    requests: dict[str, int] = field(default_factory=dict[str, int])
    halves: int = 0  # observations that are half of a pair
    rows: SeenKeys = field(default_factory=SeenKeys)
    units: SeenKeys = field(default_factory=SeenKeys)  # of an arm each
    units_by_arm: Counter[str] = field(default_factory=Counter[str])
    earliest: float = math.inf
    latest: float = -math.inf

    @property
    def duration(self) -> float:
        return max(0.0, self.latest - self.earliest)


def _measure(batches: Iterator[RecordBatch], *, by_unit: bool) -> _Extent:
    extent = _Extent()
    for batch in batches:
        arm, arms = names(batch, "arm")
        for name, count in zip(arms, np.bincount(arm, minlength=len(arms)).tolist(), strict=True):
            if name is not None and count:
                extent.requests[name] = extent.requests.get(name, 0) + count
        time = numbers(batch, "time").values
        time = time[np.isfinite(time)]
        if len(time):
            extent.earliest = min(extent.earliest, float(time.min()))
            extent.latest = max(extent.latest, float(time.max()))
        pair, row = whole_numbers(batch, "pair"), whole_numbers(batch, "row")
        if pair is not None:
            extent.halves += int(pair.known.sum())
        if row is not None:
            extent.rows.add(row.keys[row.known])
        units = hashes(batch, "unit") if by_unit else None
        if units is not None:
            for code, name in enumerate(arms):
                if name is not None:
                    # Arms are told apart by another bit pattern each.
                    own = units.keys[units.known & (arm == code)] ^ hash_name(name)
                    extent.units_by_arm[name] += int(extent.units.add(own).sum())
            extent.units.release()
    return extent


def _spec(experiment: Experiment, extent: _Extent) -> JudgeSpec:
    said = "max_duration" in experiment.spec.traffic.bounds.model_fields_set
    claims = claims_of(experiment, steps_of(experiment), _rows(experiment, extent))
    if said:
        return claims
    looks = max(1, math.floor(extent.duration / claims.look_interval) + 1)
    return replace(
        claims,
        planned_looks=claims.planned_looks if claims.method is Method.GROUP_SEQUENTIAL else looks,
        batch_seconds=max(claims.batch_seconds, extent.duration / _MOST_BATCHES),
        max_duration=looks * claims.look_interval,
        metrics=tuple(_sized(metric, extent, experiment) for metric in claims.metrics),
    )


def _sized(metric: MetricSpec, extent: _Extent, experiment: Experiment) -> MetricSpec:
    """The metric with the data's size as its horizon."""
    paired = metric.paired and extent.halves > 0
    sizes = extent.units_by_arm if metric.by_unit else extent.requests
    smaller = min(sizes[arm.name] for arm in (experiment.spec.baseline, *experiment.spec.candidates))
    observations = extent.halves // 2 if paired else smaller
    if metric.once_per_row and extent.rows:
        observations = min(observations, len(extent.rows))
    return replace(metric, paired=paired, max_observations=max(1, observations))


def _rows(experiment: Experiment, extent: _Extent) -> int:
    """Distinct rows: those of the data set where it is there, else those that were seen."""
    if experiment.data is not None and experiment.data.is_file():
        return count_rows(experiment.data)
    return len(extent.rows) or max(extent.requests.values(), default=1)
